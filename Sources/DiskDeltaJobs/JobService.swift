public import DiskDeltaProtocol
internal import DiskImages

/// Answers questions about jobs: questions about changes that outlive the connection they were asked over, and the server too.
public final class JobService: Sendable {
    let runner: JobRunner
    let disks: any ImageManagementService
    let access: JobAccess
    let now: @Sendable () -> JobTime
    private let folder: StateFolder

    /// Takes up the jobs of `folder`. None runs before `start()`.
    ///
    /// - Parameters:
    ///   - disks: what answers the questions.
    ///   - executor: runs the jobs, whose work blocks; nil for threads of its own.
    ///   - report: told in a sentence what has gone wrong that nobody else is told.
    /// - Throws: `StateError` where the jobs of the folder cannot be read.
    public convenience init(
        _ folder: StateFolder,
        disks: any ImageManagementService,
        access: JobAccess,
        limits: JobLimits = JobLimits(),
        executor: (any TaskExecutor)? = nil,
        report: @escaping @Sendable (String) -> Void = { _ in }
    ) throws(StateError) {
        try self.init(
            folder,
            disks: disks,
            access: access,
            limits: limits,
            executor: executor,
            now: JobTime.now,
            report: report
        )
    }

    init(
        _ folder: StateFolder,
        disks: any ImageManagementService,
        access: JobAccess,
        limits: JobLimits,
        executor: (any TaskExecutor)?,
        now: @escaping @Sendable () -> JobTime,
        report: @escaping @Sendable (String) -> Void
    ) throws(StateError) {
        self.folder = folder
        self.disks = disks
        self.access = access
        self.now = now
        let store = try JobStore(folder.database)
        do throws(JobStoreError) {
            runner = try JobRunner(
                store: store,
                spools: SpoolFolder(path: folder.spools),
                disks: disks,
                limits: limits,
                executor: executor ?? BlockingExecutor(),
                now: now,
                report: report
            )
        } catch {
            throw StateError(message: "The jobs in \(folder.database) cannot be read: \(error.message)")
        }
    }

    /// How many jobs of before have not ended.
    public var unendedCount: Int { runner.unendedCount }

    /// Lets jobs run, those of before first.
    public func start() { runner.start() }

    /// Ends those who watch, and stops the jobs that run: they go on from where they are when the server starts again. Returns
    /// when all is written down.
    public func stop() async { await runner.stop() }

    /// A job that the caller may see: as it is at hand, where it has not ended, and as it is written down.
    ///
    /// - Throws: `jobNotFound` where there is none that the caller may see; `internal` where its record is damaged.
    func find(_ id: String, _ context: CallContext) throws(CallError) -> JobRecord {
        switch try look(for: id, context) {
        case .sound(let record):
            context.notes.disk = record.request.path
            return record
        case .damaged(let job): throw CallError(job)
        }
    }

    /// The same, where a damaged record is an answer too. One of which nobody can say whose it is can be seen by who knows its id.
    func look(for id: String, _ context: CallContext) throws(CallError) -> StoredJob {
        let isVisible = access.visibility(of: context.identity)
        guard let id = GUID(id), let job = try stored(id),
            job.owner.map({ isVisible($0.name, $0.root) }) ?? true
        else { throw CallError(.jobNotFound, "This server has no such job") }
        return job
    }

    private func stored(_ id: GUID) throws(CallError) -> StoredJob? {
        if let job = runner.job(id) { return .sound(job.record) }
        do throws(JobStoreError) {
            let job = try runner.store.job(id)
            // Those that have not ended are at hand: this record is an older one of the job's, put back since.
            if case .sound(let record) = job, !record.hasEnded, runner.job(id) == nil {
                return .damaged(DamagedJob(id: id.description, owner: job?.owner))
            }
            return job
        } catch {
            throw CallError(error)
        }
    }
}

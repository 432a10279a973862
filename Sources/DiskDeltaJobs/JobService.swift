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
    /// - Throws: `jobNotFound` where there is none that he may see.
    func find(_ id: String, _ context: CallContext) throws(CallError) -> JobRecord {
        guard let id = GUID(id), let record = try record(id),
            access.visibility(of: context.identity)(record.owner, record.root)
        else { throw CallError(.jobNotFound, "This server has no such job") }
        context.notes.disk = record.request.path
        return record
    }

    private func record(_ id: GUID) throws(CallError) -> JobRecord? {
        if let job = runner.job(id) { return job.record }
        do throws(JobStoreError) {
            return try runner.store.job(id)
        } catch {
            throw CallError(error)
        }
    }
}

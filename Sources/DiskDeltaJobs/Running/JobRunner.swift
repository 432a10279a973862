internal import DiskDeltaProtocol
internal import DiskImages
internal import Synchronization

/// Runs jobs, a few at a time, and keeps those that have not ended at hand.
final class JobRunner: Sendable {
    private struct State {
        var queue: JobQueue
        var live: [GUID: LiveJob] = [:]
        var tasks: [GUID: Task<Void, Never>] = [:]
        var sweeping: Task<Void, Never>?
        /// Jobs that have ended, and whose rows do not say so yet.
        var unsaved: [JobRecord] = []
    }

    let store: JobStore
    let spools: SpoolFolder
    let limits: JobLimits
    private let disks: any ImageManagementService
    private let executor: any TaskExecutor
    private let now: @Sendable () -> JobTime
    /// Told in a sentence what has gone wrong that nobody else is told.
    private let report: @Sendable (String) -> Void
    private let state: Mutex<State>

    /// Takes up the jobs that had not ended when the server before this one did. None runs before `start()`.
    init(
        store: JobStore,
        spools: SpoolFolder,
        disks: any ImageManagementService,
        limits: JobLimits,
        executor: any TaskExecutor,
        now: @escaping @Sendable () -> JobTime,
        report: @escaping @Sendable (String) -> Void
    ) throws(JobStoreError) {
        self.store = store
        self.spools = spools
        self.disks = disks
        self.limits = limits
        self.executor = executor
        self.now = now
        self.report = report
        var queue = JobQueue(limits: limits)
        var live: [GUID: LiveJob] = [:]
        let found = try store.unendedJobs()
        for job in found.damaged { report(job.explanation) }
        for var record in found.jobs {
            record.state = .new
            queue.admitAnyway(record.owner)
            queue.append(record.id)
            live[record.id] = LiveJob(record)
        }
        // Where that cannot be said, none goes.
        if let jobs = try? store.jobsWithSpool() { spools.clean(keeping: jobs) }
        state = Mutex(State(queue: queue, live: live))
    }

    /// Lets jobs run.
    func start() {
        state.withLock { $0.queue.start() }
        runNext()
        let sweeping = Task(executorPreference: executor) { [weak self, interval = limits.sweepInterval] in
            while !Task.isCancelled {
                self?.sweep()
                try? await Task.sleep(for: interval)
            }
        }
        state.withLock { $0.sweeping = sweeping }
    }

    /// Stops those that run, which make sure of what they have, and returns when they have.
    func stop() async {
        let (tasks, sweeping, live) = state.withLock { state in
            state.queue.stop()
            return (Array(state.tasks.values), state.sweeping, Array(state.live.values))
        }
        sweeping?.cancel()
        for task in tasks { task.cancel() }
        for job in live { job.close() }
        for task in tasks { await task.value }
        await sweeping?.value
    }

    /// Whether jobs are still taken.
    var isStopped: Bool { state.withLock { $0.queue.isStopped } }

    /// Counts a job that `owner` is about to start. False where he has as many as he may have.
    func admit(_ owner: String) -> Bool { state.withLock { $0.queue.admit(owner) } }

    /// The job was not started after all.
    func dismiss(_ owner: String) { state.withLock { $0.queue.dismiss(owner) } }

    /// Takes a job that was admitted and written down.
    func submit(_ record: JobRecord) {
        state.withLock { state in
            state.live[record.id] = LiveJob(record)
            state.queue.append(record.id)
        }
        runNext()
    }

    /// A job that has not ended; nil where it has, or there is none.
    func job(_ id: GUID) -> LiveJob? { state.withLock { $0.live[id] } }

    /// How many have not ended.
    var unendedCount: Int { state.withLock { $0.live.count } }

    /// Ends a job whose row says so, by somebody else than its run: it runs no more.
    func endedElsewhere(_ record: JobRecord) {
        let task = state.withLock { state in
            _ = state.queue.withdraw(record.id)
            return state.tasks[record.id]
        }
        task?.cancel()
        spools.remove(record.id)
        forget(record)
    }

    /// Forgets the jobs whose time is up, and those that take too much room.
    func sweep() {
        for record in state.withLock({ $0.unsaved }) { saveAgain(record) }
        do throws(JobStoreError) {
            let expired = try store.forget(expiredAt: now())
            let over = try store.forget(beyond: limits.keptJobs, bytes: limits.resultBytesInAll)
            for id in expired + over { spools.remove(id) }
        } catch {
            report("old jobs cannot be forgotten: \(error.message)")
        }
    }

    private func runNext() {
        state.withLock { state in
            while let id = state.queue.next() {
                guard let job = state.live[id] else {
                    state.queue.finish(id)
                    continue
                }
                state.tasks[id] = Task(executorPreference: executor) { await self.run(job) }
            }
        }
    }

    private func run(_ job: LiveJob) async {
        let run = JobRun(job: job, store: store, spools: spools, disks: disks, limits: limits, now: now)
        switch await run.run() {
        case .interrupted: break
        case .overtaken: spools.remove(job.id)
        case .ended(let record): settle(record)
        case .unsaved(let record, let error) where error.isDamage:
            // There is no place where its end could be written down: whoever asks for it is told of the damage.
            report("the job \(record.id) cannot go on: \(error.message)")
            forget(record)
        case .unsaved(let record, let error):
            report("the end of the job \(record.id) cannot be written down: \(error.message)")
            state.withLock { $0.unsaved.append(record) }
            job.publish(record, running: nil)
        }
        state.withLock { state in
            state.queue.finish(job.id)
            state.tasks[job.id] = nil
        }
        runNext()
    }

    /// A job has ended, and its row says so.
    private func settle(_ record: JobRecord) {
        if record.state != .completed { spools.remove(record.id) }
        forget(record)
        if record.failure?.reason == .internal {
            report("the job \(record.id) failed: \(record.failure?.message ?? "")")
        }
        sweep()
    }

    /// Takes a job that has ended out of those at hand; who watches it is told.
    private func forget(_ record: JobRecord) {
        let job = state.withLock { state in
            let job = state.live.removeValue(forKey: record.id)
            if job != nil { state.queue.dismiss(record.owner) }
            return job
        }
        job?.publish(record, running: nil)
    }

    private func saveAgain(_ record: JobRecord) {
        do throws(JobStoreError) {
            _ = try store.save(record)
            state.withLock { state in state.unsaved.removeAll { $0.id == record.id } }
            if record.state != .completed { spools.remove(record.id) }
            forget(record)
        } catch {
            report("the end of the job \(record.id) cannot be written down: \(error.message)")
        }
    }
}

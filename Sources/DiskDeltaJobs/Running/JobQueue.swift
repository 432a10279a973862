internal import DiskImages

/// Whose turn it is: which jobs wait, which run, and how many each owner has that have not ended. It does nothing itself.
struct JobQueue {
    private let limits: JobLimits
    /// In the order of their turn.
    private(set) var waiting: [GUID] = []
    private(set) var running: Set<GUID> = []
    private var unended: [String: UInt32] = [:]
    private(set) var isStopped = false
    private var isStarted = false

    init(limits: JobLimits) {
        self.limits = limits
    }

    /// Counts one more job of `owner`. False where he has as many as he may have, and nothing is counted.
    mutating func admit(_ owner: String) -> Bool {
        let count = unended[owner] ?? 0
        guard count < limits.unendedPerIdentity else { return false }
        unended[owner] = count + 1
        return true
    }

    /// Counts one more job of `owner`, who may have more than he could start now: it was there before the server was.
    mutating func admitAnyway(_ owner: String) {
        unended[owner] = (unended[owner] ?? 0) &+ 1
    }

    /// One job less: it has ended, or was not started after all.
    mutating func dismiss(_ owner: String) {
        guard let count = unended[owner] else { return }
        unended[owner] = count > 1 ? count - 1 : nil
    }

    /// Puts a job at the end of those that wait.
    mutating func append(_ id: GUID) { waiting.append(id) }

    /// From now on jobs may run.
    mutating func start() { isStarted = true }

    /// The job that is to run now, which then counts as running; nil where none waits, there is no room, or none is to run yet
    /// or any more.
    mutating func next() -> GUID? {
        guard isStarted, !isStopped, running.count < limits.running, !waiting.isEmpty else { return nil }
        let id = waiting.removeFirst()
        running.insert(id)
        return id
    }

    /// Takes out a job that waits. False where it does not.
    mutating func withdraw(_ id: GUID) -> Bool {
        guard let index = waiting.firstIndex(of: id) else { return false }
        waiting.remove(at: index)
        return true
    }

    /// A job runs no more.
    mutating func finish(_ id: GUID) { running.remove(id) }

    /// No job is to run any more, those that run aside.
    mutating func stop() { isStopped = true }
}

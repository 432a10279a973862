internal import Dispatch
internal import Foundation
internal import Synchronization

/// A bounded number of threads for work that blocks on files, shared fairly between those who have some.
///
/// A service reads files with calls that block. On the threads that all Swift tasks share they would stop everything else, so
/// a task that reads files prefers a *lane* of this pool: `Task(executorPreference: pool.lane(client: "backup"))`. Each of its
/// turns runs until it suspends; one that has much to do says `await Task.yield()` every few milliseconds and lets others
/// have theirs. Who comes next is told by `FairQueue`: clients get the same, and of one client's calls the short ones do not
/// wait for the long ones.
///
/// The threads end when nobody holds the pool or a lane of it any more.
public final class FileWorkPool: Sendable {
    /// The number of threads that is usual: some, so that a call that waits for a medium does not stop one that need not.
    public static let usualThreads = 4

    private let shared: FileWorkQueue

    /// - Parameter threads: how many tasks can be at work at a time; at least 1.
    public init(threads: Int = usualThreads) {
        let threads = max(threads, 1)
        shared = FileWorkQueue(threads: threads)
        for _ in 0..<threads {
            Thread.detachNewThread { [shared] in shared.work() }
        }
    }

    deinit {
        // Possibly on one of the threads themselves, so it does not wait for them.
        shared.stop()
    }

    /// A lane of its own, for one call or whatever else wants its turns.
    ///
    /// - Parameters:
    ///   - client: who is behind it: what all his lanes get together is as much as another client gets.
    ///   - weight: what it gets in proportion to others, between 0.001 and 1,000: 1 for what somebody waits for, less for what
    ///     can wait.
    public func lane(client: String, weight: Double = 1) -> FileWorkLane {
        FileWorkLane(self, shared.addLane(client: client, weight: weight), shared)
    }

    /// How many turns wait for a thread, of all lanes.
    public var waitingCount: Int { shared.waitingCount }
}

/// Has the turns of one task, and of those it makes, run by a ``FileWorkPool``.
public final class FileWorkLane: TaskExecutor {
    /// A lane keeps its pool at work.
    private let pool: FileWorkPool
    private let id: FairQueue<FileWorkQueue.Work>.LaneID
    private let queue: FileWorkQueue

    fileprivate init(_ pool: FileWorkPool, _ id: FairQueue<FileWorkQueue.Work>.LaneID, _ queue: FileWorkQueue) {
        self.pool = pool
        self.id = id
        self.queue = queue
    }

    deinit {
        queue.removeLane(id)
    }

    public func enqueue(_ job: consuming ExecutorJob) {
        queue.push(FileWorkQueue.Work(job: UnownedJob(job), lane: self), in: id)
    }
}

/// What the threads of a pool share.
private final class FileWorkQueue: Sendable {
    /// A turn. It holds its lane, so that a lane is there as long as it has something to do.
    struct Work: Sendable {
        let job: UnownedJob
        let lane: FileWorkLane
    }

    private let threads: Int
    private let queue = Mutex(FairQueue<Work>())
    /// Counts what waits, and at the end a signal for each thread.
    private let arrivals = DispatchSemaphore(value: 0)

    init(threads: Int) {
        self.threads = threads
    }

    var waitingCount: Int { queue.withLock { $0.count } }

    func addLane(client: String, weight: Double) -> FairQueue<Work>.LaneID {
        queue.withLock { $0.addLane(client: client, weight: weight) }
    }

    func removeLane(_ id: FairQueue<Work>.LaneID) {
        queue.withLock { $0.removeLane(id) }
    }

    func push(_ work: Work, in id: FairQueue<Work>.LaneID) {
        queue.withLock { $0.push(work, in: id) }
        arrivals.signal()
    }

    /// Every lane is gone, so nothing waits any more.
    func stop() {
        for _ in 0..<threads { arrivals.signal() }
    }

    /// What each thread does. A lane is let go outside of the lock, because that may be its end.
    func work() {
        while true {
            arrivals.wait()
            // For each signal something waits, but at the end.
            guard let (work, lane) = queue.withLock({ $0.pop() }) else { return }
            let start = Self.usedTime
            work.job.runSynchronously(on: work.lane.asUnownedTaskExecutor())
            let time = Self.usedTime - start
            queue.withLock { $0.finish(lane, took: .nanoseconds(time)) }
        }
    }

    /// What this thread has used of a processor, in nanoseconds. By the clock on the wall a call would be charged for the time
    /// in which others had its processor, and those that have had least would come last on a busy machine.
    private static var usedTime: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }
}

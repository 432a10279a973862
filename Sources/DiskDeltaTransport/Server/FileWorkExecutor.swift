internal import NIOPosix

/// Runs the tasks of calls on a few threads of its own.
///
/// A service reads files with calls that block. On the threads that all Swift tasks share they would stop everything
/// else, so each call prefers this executor. Its threads end when nobody holds it any more: no call either.
final class FileWorkExecutor: TaskExecutor {
    private let pool: NIOThreadPool

    /// - Parameter threads: How many calls can read files at a time, at least 1.
    init(threads: Int) {
        pool = NIOThreadPool(numberOfThreads: max(threads, 1))
        pool.start()
    }

    deinit {
        // Possibly on one of the threads themselves, so it must not wait for them.
        pool.shutdownGracefully { _ in }
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        pool.submit { [self] _ in job.runSynchronously(on: asUnownedTaskExecutor()) }
    }
}

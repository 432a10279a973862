internal import NIOPosix

/// Runs the tasks of calls on a few threads of its own.
///
/// A service reads files with calls that block. On the threads that all Swift tasks share they would stop everything
/// else, so each call prefers this executor.
final class FileWorkExecutor: TaskExecutor {
    private let pool: NIOThreadPool

    /// - Parameter threads: How many calls can read files at a time, at least 1.
    init(threads: Int) {
        pool = NIOThreadPool(numberOfThreads: max(threads, 1))
        pool.start()
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let executor = asUnownedTaskExecutor()
        // A job that comes after the shutdown runs all the same, where it is: a task must come to its end.
        pool.submit { _ in job.runSynchronously(on: executor) }
    }

    /// Ends the threads when they have done what they do now.
    func shutdown() async {
        try? await pool.shutdownGracefully()
    }
}

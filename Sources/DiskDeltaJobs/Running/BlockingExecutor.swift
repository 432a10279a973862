internal import Dispatch

/// Runs jobs on threads of their own: they read files and write the spool by calls that block, and on the threads that all
/// Swift tasks share they would stop everything else. There are as many as jobs run at a time.
final class BlockingExecutor: TaskExecutor {
    private let queue = DispatchQueue(label: "diskdelta.jobs", qos: .utility, attributes: .concurrent)

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { [self] in job.runSynchronously(on: asUnownedTaskExecutor()) }
    }
}

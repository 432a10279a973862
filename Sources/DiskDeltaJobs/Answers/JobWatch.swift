internal import DiskDeltaProtocol

/// The state of a job, now and at every change, until it has ended. Who reads slowly is told the latest, and the last always.
final class JobWatch: ResponseStream {
    private let job: LiveJob
    private var told: UInt64?
    private var hasToldTheEnd = false

    /// Watches a job. One that has ended is told once.
    init(_ job: LiveJob) {
        self.job = job
    }

    func next() async throws(CallError) -> Job? {
        guard !hasToldTheEnd else { return nil }
        var sighting = job.sighting
        if let told {
            guard let change = await job.change(after: told) else {
                guard !Task.isCancelled else { throw CallError(.cancelled, "The call was cancelled") }
                throw CallError(.serverUnavailable, "The server stops: the job goes on when it is there again")
            }
            sighting = change
        }
        told = sighting.number
        hasToldTheEnd = sighting.record.hasEnded
        return sighting.record.message
    }
}

internal import DiskDeltaProtocol

/// The time that a caller gave for all the calls together that an answer takes.
struct TimeBudget {
    private let deadline: ContinuousClock.Instant?

    /// - Parameter timeout: counted from now; nil means no limit.
    init(_ timeout: Duration?) {
        deadline = timeout.map { .now + $0 }
    }

    /// The options of a further call: what is left of the time, and no longer a wait for a connection than the patience lasts.
    func options(
        _ whole: CallOptions,
        attempts: Int,
        patienceEnds end: ContinuousClock.Instant
    ) -> CallOptions {
        var options = whole
        options.timeout = deadline.map { $0 - .now }
        options.waitForReady = true
        options.readyTimeout = max(end - .now, .zero)
        options.previousAttempts = whole.previousAttempts + attempts
        return options
    }

    /// Waits. Throws DEADLINE where the time is up before, CANCELLED where the task is cancelled.
    func sleep(_ wait: Duration) async throws(CallError) {
        guard wait > .zero else { return }
        let end = ContinuousClock.now + wait
        guard (try? await Task.sleep(until: deadline.map { min($0, end) } ?? end)) != nil else {
            throw CallError(.cancelled, "the call was cancelled")
        }
        guard deadline.map({ $0 > .now }) ?? true else { throw CallError(.deadline, "the time for the call is up") }
    }
}

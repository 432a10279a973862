internal import DiskDeltaProtocol

/// The attempts to resume one answer: a value that is told what happens, and the time.
struct ResumeSeries {
    typealias Instant = ContinuousClock.Instant

    enum Decision: Equatable {
        /// Try again after this wait, and wait for a connection no longer than until the instant.
        case tryAgain(after: Duration, patienceEnds: Instant)
        case giveUp
    }

    private let policy: ResumePolicy
    private var backoff: Backoff
    /// When the answer broke, while it has not got any further since.
    private var brokenSince: Instant?
    private var attemptsWithoutProgress = 0
    /// All attempts, of all breaks.
    private(set) var attempts = 0

    init(_ policy: ResumePolicy) {
        self.policy = policy
        backoff = Backoff(policy.waiting)
    }

    /// The answer got further.
    mutating func progressed() {
        guard brokenSince != nil else { return }
        brokenSince = nil
        attemptsWithoutProgress = 0
        backoff.reset()
    }

    /// The answer broke, or an attempt failed.
    ///
    /// - Parameters:
    ///   - variation: chance, from -1 to 1.
    ///   - retryDelay: the least time that the server wants to pass before the next attempt (P-99).
    mutating func broke(at now: Instant, variation: Double, retryDelay: Duration = .zero) -> Decision {
        guard !policy.isOff else { return .giveUp }
        let start = brokenSince ?? now
        brokenSince = start
        let end = start + policy.patience
        guard now + retryDelay < end, attemptsWithoutProgress < policy.maximumAttempts ?? .max else { return .giveUp }
        let wait = max(retryDelay, attemptsWithoutProgress == 0 ? .zero : backoff.next(variation: variation))
        attemptsWithoutProgress += 1
        attempts += 1
        return .tryAgain(after: min(wait, end - now), patienceEnds: end)
    }
}

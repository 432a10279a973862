internal import DiskDeltaProtocol

/// When a channel has a connection, makes one, or waits before it does: a value that is told what happens.
///
///                  call                      ready
///        idle ──────────────▶ connecting ──────────────▶ ready
///         ▲                    ▲      │                    │
///         │ server leaves      │ due  │ failed             │ broke
///         └────────────────────┼──────┼────────────────────┤
///                              │      ▼                    │
///                           pausing ◀──────────────────────┘
///
/// A pause after a connection that broke makes every call wait, for it is short. A pause after an attempt that failed makes
/// calls fail at once with the error of that attempt, unless they wait for the channel to be ready.
struct ChannelState {
    typealias Instant = ContinuousClock.Instant

    enum Phase: Equatable {
        case idle
        /// Nothing is tried before `until`. `error` is that of the attempt that failed; nil where a connection broke.
        case pausing(until: Instant, error: CallError?)
        case connecting
        case ready
        case closed
    }

    /// What becomes of a call that needs a connection.
    enum Answer: Equatable {
        /// There is one.
        case use
        /// One is being made, or is to be made: the call waits. Where `attempt` is set the owner begins an attempt at that
        /// time.
        case wait(attempt: Instant?)
        case fail(CallError)
    }

    private(set) var phase = Phase.idle
    private var backoff: Backoff
    /// Whether somebody was told to begin an attempt and has not.
    private var isAttemptUnderWay = false

    init(_ policy: BackoffPolicy) {
        backoff = Backoff(policy)
    }

    mutating func callArrives(waitsForReady: Bool, at now: Instant) -> Answer {
        switch phase {
        case .ready: return .use
        case .closed: return .fail(CallError(.cancelled, "the client was closed by its owner"))
        case .connecting: return .wait(attempt: nil)
        case .idle: return attempt(at: now)
        case .pausing(let until, let error):
            if let error, !waitsForReady, now < until { return .fail(error) }
            return attempt(at: max(until, now))
        }
    }

    private mutating func attempt(at time: Instant) -> Answer {
        guard !isAttemptUnderWay else { return .wait(attempt: nil) }
        isAttemptUnderWay = true
        return .wait(attempt: time)
    }

    /// The attempt begins. False where it is not wanted any more.
    mutating func attemptBegins() -> Bool {
        guard isAttemptUnderWay, phase != .closed else { return false }
        phase = .connecting
        return true
    }

    /// The attempt was given up before it began: nobody waits for it.
    mutating func attemptAbandoned() {
        isAttemptUnderWay = false
    }

    /// False where the connection is not wanted any more.
    mutating func attemptSucceeded() -> Bool {
        isAttemptUnderWay = false
        guard phase != .closed else { return false }
        phase = .ready
        backoff.reset()
        return true
    }

    /// The time before which no other attempt is made; nil where the channel is closed.
    ///
    /// - Parameter variation: chance, from -1 to 1.
    mutating func attemptFailed(_ error: CallError, at now: Instant, variation: Double) -> Instant? {
        isAttemptUnderWay = false
        guard phase != .closed else { return nil }
        let until = now + backoff.next(variation: variation)
        phase = .pausing(until: until, error: error)
        return until
    }

    /// The connection takes no calls any more, since `end`.
    mutating func connectionEnded(_ end: ConnectionEnd, variation: Double) {
        guard phase == .ready else { return }
        // A server that leaves in peace asks for no pause.
        phase = end.isOrderly ? .idle : .pausing(until: end.time + backoff.next(variation: variation), error: nil)
    }

    mutating func close() {
        phase = .closed
    }
}

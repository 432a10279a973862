/// How a server leaves a connection without losing a call that was on its way: it says first that it will leave, and,
/// when the client must have read that, which streams it has taken up. P-85 of `Docs/Protocol.md`.
struct Drain: Sendable {
    private enum Step {
        case serving
        /// The first GOAWAY is sent. `ping` is what the PING behind it said; nil while it waits for the answer to another.
        case announced(until: ContinuousClock.Instant, ping: UInt64?)
        /// The second GOAWAY is sent.
        case decided
    }

    /// What the first GOAWAY names: no stream is excluded yet.
    static let undecided = StreamID(Int32.max)

    private let patience: Duration
    private var step = Step.serving

    /// - Parameter patience: How long the answer to the PING is waited for.
    init(patience: Duration) {
        self.patience = patience
    }

    var hasBegun: Bool {
        if case .serving = step { false } else { true }
    }

    /// Whether no stream is taken up any more.
    var isDecided: Bool {
        if case .decided = step { true } else { false }
    }

    /// When it goes on though the client has not answered.
    var deadline: ContinuousClock.Instant? {
        if case .announced(let until, _) = step { until } else { nil }
    }

    /// Takes the first step. False where that was taken before.
    mutating func begin(at now: ContinuousClock.Instant) -> Bool {
        guard case .serving = step else { return false }
        step = .announced(until: now + patience, ping: nil)
        return true
    }

    /// Whether its PING is still to be sent.
    var wantsPing: Bool {
        if case .announced(_, nil) = step { true } else { false }
    }

    mutating func pingSent(_ ping: UInt64) {
        if case .announced(let until, nil) = step { step = .announced(until: until, ping: ping) }
    }

    /// Whether this answer says that the client has read the first GOAWAY.
    func isAnswered(by ping: UInt64) -> Bool {
        if case .announced(_, ping) = step { true } else { false }
    }

    /// Takes the last step. False where that was taken before.
    mutating func decide() -> Bool {
        guard !isDecided else { return false }
        step = .decided
        return true
    }
}

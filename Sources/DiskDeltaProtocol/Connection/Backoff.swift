/// How long to wait before what failed is tried again: each time longer, up to a limit, and never quite as long as others
/// wait.
public struct BackoffPolicy: Hashable, Sendable {
    /// Before the first retry; above 0.
    public var initial: Duration
    /// What the wait grows by each time; at least 1.
    public var multiplier: Double
    /// The longest wait, before it is varied.
    public var maximum: Duration
    /// The part by which each wait is varied, up or down: 0 to 1.
    public var jitter: Double

    public init(initial: Duration, multiplier: Double, maximum: Duration, jitter: Double) {
        self.initial = initial
        self.multiplier = multiplier
        self.maximum = maximum
        self.jitter = jitter
    }

    /// Before connecting again (P-94): 100 ms, then 1.6 times as long each time, at most 120 s, varied by a fifth.
    public static let connecting = BackoffPolicy(
        initial: .milliseconds(100),
        multiplier: 1.6,
        maximum: .seconds(120),
        jitter: 0.2
    )
}

/// A series of waits by a policy.
public struct Backoff: Hashable, Sendable {
    public let policy: BackoffPolicy
    /// The next wait, before it is varied.
    private var wait: Duration

    public init(_ policy: BackoffPolicy) {
        self.policy = policy
        wait = min(policy.initial, policy.maximum)
    }

    /// The next wait of the series.
    ///
    /// - Parameter variation: from -1, the shortest, to 1, the longest that the jitter allows.
    public mutating func next(variation: Double) -> Duration {
        defer { wait = min(wait * policy.multiplier, policy.maximum) }
        return wait * (1 + policy.jitter * min(max(variation, -1), 1))
    }

    /// The next wait of the series, varied at random.
    public mutating func next() -> Duration {
        next(variation: .random(in: -1...1))
    }

    /// What was tried has worked: the series starts anew.
    public mutating func reset() {
        self = Backoff(policy)
    }
}

/// What a service knows about the call it answers.
public struct CallContext: Sendable {
    /// Who asks, as far as the carrier could tell; empty where nobody had to prove it.
    public var identity: String

    /// When the caller's time is up; nil where it set no limit.
    public var deadline: ContinuousClock.Instant?

    public init(identity: String = "", deadline: ContinuousClock.Instant? = nil) {
        self.identity = identity
        self.deadline = deadline
    }
}

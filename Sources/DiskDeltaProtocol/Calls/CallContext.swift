/// What a service knows about the call it answers.
public struct CallContext: Sendable {
    /// Who asks, as far as the carrier could tell; empty where nobody had to prove it.
    public var identity: String

    /// When the caller's time is up; nil where it set no limit.
    public var deadline: ContinuousClock.Instant?

    /// The longest message in bytes that the caller takes: a stream makes none that is longer.
    public var maximumMessage: Int

    public init(
        identity: String = "",
        deadline: ContinuousClock.Instant? = nil,
        maximumMessage: Int = 256 * 1024
    ) {
        self.identity = identity
        self.deadline = deadline
        self.maximumMessage = maximumMessage
    }
}

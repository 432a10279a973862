public import DiskDeltaProtocol

/// How an ``RPCChannel`` connects.
public struct ChannelConfiguration: Sendable {
    /// What each server is told. It bounds the memory that answers take while they are not read.
    public var settings = ClientSettings.default

    /// How long connecting may take, the look-up of the name included.
    public var connectTimeout = Duration.seconds(10)

    /// How long a server is waited for: its handshakes, and its silence while calls are open (P-84).
    public var times = ClientTimes()

    /// How connections are protected; nil means not at all.
    public var tls: TLSOptions?

    /// How long to wait before connecting again after a failure (P-94).
    public var reconnecting = BackoffPolicy.connecting

    /// How long to wait before a call is made again that was refused because there are too many; where the server said how
    /// long (P-99), at least that.
    public var refusals = BackoffPolicy(
        initial: .milliseconds(50),
        multiplier: 1.6,
        maximum: .seconds(1),
        jitter: 0.2
    )

    /// How often a call may be made again that the server did not begin (P-93), unless it waits for the channel to be ready:
    /// then its time alone is the limit.
    public var maximumRepetitions = 8

    public init() {}
}

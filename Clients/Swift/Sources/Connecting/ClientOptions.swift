public import DiskDeltaProtocol
public import Logging

/// How a client reaches its server, and what it does when the way there breaks.
public struct ClientOptions: Sendable {
    /// How connections are protected; nil means not at all, which suits loopback and Unix sockets.
    public var tls: TLSOptions?

    /// What stands between the caller and the connection; the first sees a call first. ``TokenAuthentication`` is one.
    public var interceptors: [any ClientInterceptor] = []

    /// What the server is told. It bounds the memory that answers take while they are not read.
    public var settings = ClientSettings.default

    /// How long an attempt to connect may take, the look-up of the name included.
    public var connectTimeout = Duration.seconds(10)

    /// How long the server is waited for: its handshakes, and its silence while calls are under way.
    public var times = ClientTimes()

    /// How long to wait before connecting again after a failure.
    public var reconnecting = BackoffPolicy.connecting

    /// How answers about ranges are read.
    public var ranges = RangeOptions()

    /// Where the client says what it notices of its connections, at level debug.
    public var logger = Logger(label: "diskdelta.client")

    public init() {}
}

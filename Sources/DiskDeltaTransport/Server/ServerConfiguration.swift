public import DiskDeltaProtocol

/// How an ``RPCServer`` serves.
public struct ServerConfiguration: Sendable {
    /// What each client is told.
    public var settings = ServerSettings.default

    /// How long a client may take for its preface and SETTINGS.
    public var handshakeTimeout = Duration.seconds(5)

    /// How long a server that stops waits for calls to end.
    public var gracePeriod = Duration.seconds(10)

    /// How many calls, of all clients, can read files at a time.
    public var workerThreads = 4

    /// Told what becomes of connections.
    public var observer: (any ServerObserver)?

    /// What sees each call as a whole. They begin in this order and end in the opposite one.
    public var interceptors: [any ServerInterceptor] = []

    /// How connections over TCP are protected; nil leaves them in plaintext. Unix sockets are always plain.
    public var tls: ServerTLS?

    public init() {}
}

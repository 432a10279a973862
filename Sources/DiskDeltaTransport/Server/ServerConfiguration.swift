public import DiskDeltaProtocol

/// How an ``RPCServer`` serves.
public struct ServerConfiguration: Sendable {
    /// What each client is told.
    public var settings = ServerSettings.default

    /// How long clients are waited for, how long connections last, and how they are asked whether they are still there.
    public var times = ServerTimes()

    /// How long a server that stops waits for calls to end. Those that are left are then ended with the offset to resume
    /// from (P-86). 10 seconds.
    public var gracePeriod = Duration.seconds(10)

    /// How many connections there may be, of all clients. One more is closed as soon as it is opened (P-90).
    public var maximumConnections = 16_384

    /// How many calls may be under way, of all clients, until their services have returned. One more is REFUSED (P-90).
    public var maximumCalls = 1_024

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

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

    /// How many calls may be under way, of all clients, until their services have returned. One more is refused, and told
    /// when to come again (P-99).
    public var maximumCalls = 1_024

    /// How many calls may be under way of one client: of one identity, or where nobody proved who he is, of one address, or of
    /// one user of this machine. One more is refused as well.
    public var maximumCallsPerIdentity = 256

    /// How many turns of calls may wait for a thread of the pool. While there are as many, new calls are refused as well.
    public var maximumWaitingCalls = 512

    /// Has the work of calls done that blocks on files. Nil makes a pool of ``workerThreads`` threads for this server alone.
    public var pool: FileWorkPool?

    /// How many calls, of all clients, can read files at a time, where no pool is given.
    public var workerThreads = FileWorkPool.usualThreads

    /// Told what becomes of connections.
    public var observer: (any ServerObserver)?

    /// What sees each call as a whole. They begin in this order and end in the opposite one.
    public var interceptors: [any ServerInterceptor] = []

    /// How connections over TCP are protected; nil leaves them in plaintext. Unix sockets are always plain.
    public var tls: ServerTLS?

    public init() {}
}

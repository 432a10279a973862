/// How long a server waits for its clients. Sections 11, 12 and 14 of `Docs/Protocol.md`.
public struct ServerTimes: Hashable, Sendable {
    /// How long preface and SETTINGS may take from the moment of accepting, TLS included (P-56). 5 seconds.
    public var handshake = Duration.seconds(5)

    /// When a client that says nothing is asked whether it is still there (P-84); nil: never. After 5 minutes, for 20 seconds.
    /// An interval below some seconds makes clients that count such questions go away (P-59).
    public var keepalive: KeepaliveTimes? = KeepaliveTimes(interval: .seconds(300))

    /// How long a frame that has begun may take to be whole (P-87); nil: any time. 10 seconds.
    public var frame: Duration? = .seconds(10)

    /// How long a connection may have no stream before it is drained (P-88); nil: any time. 5 minutes.
    public var idle: Duration? = .seconds(300)

    /// How old a connection may be before it is drained (P-88). Its streams go on to their end. Nil, the default: any age.
    public var age: Duration?

    /// How long a stream may wait for a client that does not read (P-89); nil: any time. An hour.
    public var stall: Duration? = .seconds(3_600)

    /// How long the first step of a drain waits for the client's answer (P-85). 5 seconds.
    public var drain = Duration.seconds(5)

    public init() {}

    /// The same times, idle and age longer or shorter by up to a tenth: clients that came at once do not go, and come
    /// back, at once (P-88).
    public func varied(using generator: inout some RandomNumberGenerator) -> ServerTimes {
        var varied = self
        varied.idle = idle.map { Self.vary($0, using: &generator) }
        varied.age = age.map { Self.vary($0, using: &generator) }
        return varied
    }

    private static func vary(_ time: Duration, using generator: inout some RandomNumberGenerator) -> Duration {
        min(time, .seconds(1 << 40)) * Double.random(in: 0.9...1.1, using: &generator)
    }
}

/// How long a client waits for its server. Sections 11 and 14 of `Docs/Protocol.md`.
public struct ClientTimes: Hashable, Sendable {
    /// How long the server's preface and SETTINGS may take once the connection stands, TLS included (P-56). 5 seconds.
    public var handshake = Duration.seconds(5)

    /// When a server that says nothing while calls are open is asked whether it is still there (P-84); nil: never. After a
    /// minute, for 20 seconds. It is not asked more often than it allows by `min_ping_interval` (P-83).
    public var keepalive: KeepaliveTimes? = KeepaliveTimes(interval: .seconds(60))

    public init() {}
}

public import DiskDeltaProtocol

/// Told what becomes of the connections of an ``RPCServer``, so that somebody can count it.
///
/// Every method is called on an event loop, from many at once, and returns without waiting. What happens to single calls is
/// told to interceptors instead.
public protocol ServerObserver: Sendable {
    /// A connection was accepted. ``connectionEnded()`` follows exactly once.
    func connectionAccepted()
    /// A connection that was accepted is closed, whoever closed it.
    func connectionEnded()
    /// A connection was closed as soon as it was opened, because the server is full or stops (P-90). It is not counted as
    /// accepted.
    func connectionRefused()
    /// TLS could not be agreed upon: no version, certificate or protocol that both sides take (P-81).
    func tlsHandshakeFailed()

    /// A GOAWAY was sent; a drain in two steps tells of each (P-85).
    func goAwaySent(_ code: GoAwayCode)
    /// The connection ends because the client broke a rule or asked for too much. Where the client is told by a GOAWAY,
    /// ``goAwaySent(_:)`` is called as well.
    func connectionFailed(_ error: ProtocolError)

    /// A call was refused before anything of it was done, because a limit is reached (P-23, P-90).
    func callRefused(_ limit: CallLimit)
    /// A stream has a message to send and its client has left it without credit. ``stallEnded()`` follows exactly once.
    func streamStalled()
    /// A stalled stream has credit again, or is closed.
    func stallEnded()
}

/// Whoever is interested in some of it leaves out the rest.
extension ServerObserver {
    public func connectionAccepted() {}
    public func connectionEnded() {}
    public func connectionRefused() {}
    public func tlsHandshakeFailed() {}
    public func goAwaySent(_ code: GoAwayCode) {}
    public func connectionFailed(_ error: ProtocolError) {}
    public func callRefused(_ limit: CallLimit) {}
    public func streamStalled() {}
    public func stallEnded() {}
}

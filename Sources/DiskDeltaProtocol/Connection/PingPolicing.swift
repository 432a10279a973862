/// Whether a client sends PING more often than its server allows. P-83 of `Docs/Protocol.md`.
struct PingPolicing: Sendable {
    private static let allowedStrikes = 2

    /// Half of the interval that the server announced: what a network may move two PINGs together is not a strike.
    private let tolerated: Duration
    private var last: ContinuousClock.Instant?
    private var strikes = 0

    /// - Parameter interval: The least time between two PINGs that the server announced.
    init(interval: Duration) {
        tolerated = interval / 2
    }

    /// A PING has arrived that asks for an answer. Throws at the third strike.
    mutating func receive(at now: ContinuousClock.Instant) throws(ProtocolError) {
        let isTooSoon = last.map { $0.duration(to: now) < tolerated } ?? false
        last = now
        guard isTooSoon else { return }
        strikes += 1
        guard strikes <= Self.allowedStrikes else {
            throw ProtocolError(.excessiveLoad, "PINGs come less than \(tolerated) after each other (P-83).")
        }
    }

    /// DATA or END was sent: a client that is being served may ask more often.
    mutating func forgive() {
        strikes = 0
    }
}

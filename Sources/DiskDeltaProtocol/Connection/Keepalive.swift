/// When a peer that says nothing is asked whether it is still there, and when it is taken for dead. P-84 of
/// `Docs/Protocol.md`.
public struct KeepaliveTimes: Hashable, Sendable {
    /// How long nothing may arrive before the peer is asked by PING.
    public var interval: Duration
    /// How long after that nothing may arrive before the connection is dead.
    public var timeout: Duration

    public init(interval: Duration, timeout: Duration = .seconds(20)) {
        self.interval = interval
        self.timeout = timeout
    }
}

/// The watch over a peer that says nothing.
struct Keepalive: Sendable {
    enum Verdict: Hashable, Sendable {
        case wait
        /// Ask the peer, unless a PING is under way.
        case ask
        /// Nothing has come since the peer was asked.
        case dead
    }

    /// Nil: it is off.
    private let times: KeepaliveTimes?
    /// The last time that something arrived, or that it began to matter whether something does.
    private var heard: ContinuousClock.Instant
    /// When the peer was asked; nil where something has arrived since.
    private var asked: ContinuousClock.Instant?
    /// The last time that the peer was asked, whatever has arrived since.
    private var lastAsked: ContinuousClock.Instant?
    /// The least time between two PINGs that the peer allows.
    var spacing = Duration.zero

    init(_ times: KeepaliveTimes?, at now: ContinuousClock.Instant) {
        self.times = times
        heard = now
    }

    /// Something has arrived, be it a part of a frame; or the silence before is to be forgotten.
    mutating func hear(at now: ContinuousClock.Instant) {
        heard = now
        asked = nil
    }

    /// When ``check(at:)`` has something to say, if nothing arrives; nil where it never has.
    var deadline: ContinuousClock.Instant? {
        guard let times else { return nil }
        if let asked { return asked + times.timeout }
        let silence = heard + times.interval
        return lastAsked.map { max(silence, $0 + spacing) } ?? silence
    }

    mutating func check(at now: ContinuousClock.Instant) -> Verdict {
        guard let deadline, deadline <= now else { return .wait }
        guard asked == nil else { return .dead }
        asked = now
        lastAsked = now
        return .ask
    }
}

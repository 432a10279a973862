/// How the server's side of a connection leaves, and what it does because time has passed.
extension ServerConnection {
    /// This side is leaving: the first step of two (P-85). The second follows when the client has answered, or from
    /// ``timePassed(at:)``.
    ///
    /// - Parameter why: A sentence for a person.
    public mutating func beginDrain(_ why: String, at now: ContinuousClock.Instant) -> ServerAction {
        guard state == .open || state == .settings, drain.begin(at: now) else { return .none }
        let ping = pings.send()
        if let ping { drain.pingSent(ping) }
        return .goAway(FrameHeader(.goAway, aux: Drain.undecided), GoAwayPayload(code: .noError, text: why), ping: ping)
    }

    /// The last step: no stream is taken up any more, whatever the client knows. Nothing where that was said before.
    public mutating func decideDrain() -> ServerAction {
        guard state == .open || state == .settings, drain.decide() else { return .none }
        let payload = GoAwayPayload(code: .noError, text: "the calls taken up go on to their end")
        return .goAway(FrameHeader(.goAway, aux: lastAccepted), payload, ping: nil)
    }

    // MARK: Time

    /// When ``timePassed(at:)`` has something to say, if nothing happens before; nil where it has not.
    public var nextDeadline: ContinuousClock.Instant? {
        var next: ContinuousClock.Instant?
        switch state {
        case .closed: return nil
        case .preface, .settings: next = start + times.handshake
        case .open:
            next = .earlier(keepalive.deadline, .earlier(stallEnd, frameEnd))
            if !drain.hasBegun { next = .earlier(next, lifetime.deadline) }
        }
        return .earlier(next, drain.deadline)
    }

    /// It is `now`. To be called again until it returns `none`.
    public mutating func timePassed(at now: ContinuousClock.Instant) -> ServerAction {
        switch state {
        case .closed:
            return .none
        case .preface, .settings:
            if start + times.handshake <= now { return handshakeTimedOut() }
        case .open:
            if let frameEnd, frameEnd <= now {
                return fail(ProtocolError(.excessiveLoad, "A frame that has begun does not come to its end (P-87)."))
            }
            switch keepalive.check(at: now) {
            case .wait: break
            case .ask: if let ping = pings.send() { return .sendPing(ping) }
            case .dead:
                close()
                return .dead
            }
            if let stallEnd, stallEnd <= now, let wait = schedule.longestWait, end(wait.stream) {
                return .stalled(wait.stream)
            }
            if !drain.hasBegun, let why = lifetime.verdict(at: now) { return beginDrain(why, at: now) }
        }
        if let deadline = drain.deadline, deadline <= now { return decideDrain() }
        return .none
    }

    private var frameEnd: ContinuousClock.Instant? {
        guard let frameStart, let time = times.frame else { return nil }
        return frameStart + time
    }

    private var stallEnd: ContinuousClock.Instant? {
        guard let wait = schedule.longestWait, let time = times.stall else { return nil }
        return wait.since + time
    }

    /// The time for the handshake is up.
    private mutating func handshakeTimedOut() -> ServerAction {
        switch state {
        case .preface: fail(ProtocolError(.foreignPeer, "No preface came in time (P-56)."))
        case .settings: fail(ProtocolError(.handshakeTimeout, "No SETTINGS came in time (P-56)."))
        case .open, .closed: .none
        }
    }
}

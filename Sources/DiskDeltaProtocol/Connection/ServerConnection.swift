internal import ByteReading

/// The server's side of a connection, as a value: what it is told and what follows. It does no I/O and knows no time
/// but what it is told. `Docs/Protocol.md` is what it obeys.
///
/// Its owner collects ``bytesNeeded`` bytes, hands them to ``receive(_:at:)``, and does what is returned. After
/// anything that may have freed credit he asks ``nextReady()`` until it is nil.
public struct ServerConnection: Sendable {
    enum State {
        case preface
        case settings
        case open
        case closed
    }

    private enum Phase {
        case open
        /// This side sent END or CANCEL; the handler has not returned yet.
        case ended
        /// The client sent CANCEL; the handler has not returned yet.
        case cancelled
    }

    private let settings: ServerSettings
    let times: ServerTimes
    let start: ContinuousClock.Instant
    private var clientSettings = ClientSettings.default
    var state = State.preface
    private var parser: FrameParser
    var schedule = SendSchedule(.default)
    private var streams: [StreamID: Phase] = [:]
    private var recent: RecentStreams
    private var highestStream: StreamID = 0
    /// The highest stream that was taken up.
    var lastAccepted: StreamID = 0
    private var isClientLeaving = false
    var drain: Drain
    var lifetime: Lifetime
    var pings = PingExchange()
    private var policing: PingPolicing
    var keepalive: Keepalive
    /// When the frame began that is not whole.
    var frameStart: ContinuousClock.Instant?
    private var earlyEnds = AbuseBudget()
    private var uselessFrames = AbuseBudget()

    /// `settings` must be valid. The connection was accepted at `now`.
    public init(
        settings: ServerSettings = .default,
        times: ServerTimes = ServerTimes(),
        at now: ContinuousClock.Instant = .now
    ) {
        self.settings = settings
        self.times = times
        start = now
        parser = FrameParser(maximumLength: settings.maximumFrame)
        recent = RecentStreams(capacity: max(64, Int(settings.maximumStreams)))
        drain = Drain(patience: times.drain)
        lifetime = Lifetime(idle: times.idle, age: times.age, at: now)
        policing = PingPolicing(interval: .milliseconds(settings.minimumPingInterval))
        keepalive = Keepalive(times.keepalive, at: now)
    }

    /// How many bytes ``receive(_:at:)`` takes next. 0 means that it can be called at once.
    public var bytesNeeded: Int { parser.bytesNeeded }

    /// Whether the peer has sent its preface and SETTINGS.
    public var isReady: Bool { state == .open }

    /// Whether the owner was told to send the preface and SETTINGS. A GOAWAY comes after them.
    public private(set) var hasSentPreface = false

    /// The longest message in bytes that the client accepts.
    public var maximumMessage: Int { Int(clientSettings.maximumFrame) }

    /// How many streams have a handler that has not returned.
    public var streamCount: Int { streams.count }

    /// Whether the connection has nothing left to do: it is stopping and its last stream has ended.
    public var isDrained: Bool { drain.isDecided && streams.isEmpty }

    /// Whether something may still be sent on the stream.
    public func isOpen(_ stream: StreamID) -> Bool {
        state == .open && streams[stream] == .open
    }

    /// Whether the handler of the stream waits because its client has left it without credit.
    public func isStalled(_ stream: StreamID) -> Bool {
        schedule.isStalled(stream)
    }

    // MARK: What arrives

    /// Takes exactly ``bytesNeeded`` bytes.
    public mutating func receive(_ bytes: RawSpan, at now: ContinuousClock.Instant) -> ServerAction {
        guard state != .closed else { return .none }
        do throws(ProtocolError) {
            switch try parser.next(bytes) {
            case .preface:
                state = .settings
                hasSentPreface = true
                return .sendPreface
            case .header:
                return .none
            case .payload(let header):
                frameStart = nil
                return try receive(header, bytes, at: now)
            }
        } catch {
            return fail(error)
        }
    }

    /// Something has arrived, and all whole pieces of it were handed to ``receive(_:at:)``.
    ///
    /// - Parameter unread: How many bytes are there of the next piece.
    public mutating func heard(unread: Int, at now: ContinuousClock.Instant) {
        keepalive.hear(at: now)
        guard unread > 0 || parser.isWithinFrame else {
            frameStart = nil
            return
        }
        frameStart = frameStart ?? now
    }

    private mutating func receive(
        _ header: FrameHeader,
        _ payload: RawSpan,
        at now: ContinuousClock.Instant
    ) throws(ProtocolError) -> ServerAction {
        if state == .settings, header.type != .settings, header.type != .goAway {
            throw ProtocolError(.violation, "The first frame is a \(header.type), not SETTINGS (P-12).")
        }
        switch header.type {
        case .settings:
            return try receiveSettings(payload, at: now)
        case .open:
            return try receiveOpen(header, payload, at: now)
        case .cancel:
            return try receiveCancel(header, at: now)
        case .credit:
            try receiveCredit(header, at: now)
            return .none
        case .ping:
            return try receivePing(header, payload, at: now)
        case .goAway:
            return try receiveGoAway(header, payload)
        case .data, .end:
            throw ProtocolError(.violation, "A client sent \(header.type) (P-11).")
        default:
            try uselessFrames.spend(at: now, on: "frames of no use (P-59)")
            return .none
        }
    }

    private mutating func receiveSettings(
        _ payload: RawSpan,
        at now: ContinuousClock.Instant
    ) throws(ProtocolError) -> ServerAction {
        guard state == .settings else {
            throw ProtocolError(.violation, "SETTINGS came twice (P-15).")
        }
        clientSettings = try ClientSettings(SettingsEntries(decoding: payload))
        schedule = SendSchedule(clientSettings)
        state = .open
        keepalive.hear(at: now)
        lifetime.rest(at: now)
        return .ready
    }

    private mutating func receiveOpen(
        _ header: FrameHeader,
        _ payload: RawSpan,
        at now: ContinuousClock.Instant
    ) throws(ProtocolError) -> ServerAction {
        guard header.stream % 2 == 1, header.stream > highestStream else {
            throw ProtocolError(
                .stream,
                "An OPEN has stream \(header.stream), not an odd number above \(highestStream) (P-19)."
            )
        }
        guard !isClientLeaving else {
            throw ProtocolError(.violation, "An OPEN came after the client's GOAWAY (P-52).")
        }
        let open = try OpenPayload(decoding: payload)
        highestStream = header.stream
        // The client did not know yet that this side is stopping.
        guard !drain.isDecided else { return .none }
        guard streams.count < clientSettings.streamLimit(settings) else {
            return try refuse(opened: header.stream, at: now)
        }
        lastAccepted = header.stream
        streams[header.stream] = .open
        schedule.add(header.stream)
        lifetime.work()
        return .open(header.stream, open, timeout: header.aux == 0 ? nil : .milliseconds(Int64(header.aux)))
    }

    private mutating func receiveCancel(
        _ header: FrameHeader,
        at now: ContinuousClock.Instant
    ) throws(ProtocolError) -> ServerAction {
        guard header.aux != FrameHeader.refused else {
            throw ProtocolError(.violation, "A client sent CANCEL with the reason REFUSED (P-38).")
        }
        guard isOpen(header.stream) else {
            try tolerate(header)
            recent.remove(header.stream)
            return .none
        }
        streams[header.stream] = .cancelled
        schedule.remove(header.stream)
        try spendEarlyEnd(at: now)
        return .cancel(header.stream)
    }

    private mutating func receiveCredit(
        _ header: FrameHeader,
        at now: ContinuousClock.Instant
    ) throws(ProtocolError) {
        let isOfUse: Bool
        if header.stream == 0 || isOpen(header.stream) {
            isOfUse = try schedule.grant(header.aux, to: header.stream)
        } else {
            try tolerate(header)
            isOfUse = recent.grant(header.aux, to: header.stream)
        }
        if !isOfUse { try uselessFrames.spend(at: now, on: "frames of no use (P-59)") }
    }

    private mutating func receivePing(
        _ header: FrameHeader,
        _ payload: RawSpan,
        at now: ContinuousClock.Instant
    ) throws(ProtocolError) -> ServerAction {
        switch try pings.receive(header, payload) {
        case .asked(let bytes):
            try uselessFrames.spend(at: now, on: "frames of no use (P-59)")
            try policing.receive(at: now)
            return .answerPing(bytes)
        case .answered(let bytes):
            if drain.isAnswered(by: bytes) { return decideDrain() }
            guard drain.wantsPing, let ping = pings.send() else { return .none }
            drain.pingSent(ping)
            return .sendPing(ping)
        }
    }

    private mutating func receiveGoAway(
        _ header: FrameHeader,
        _ payload: RawSpan
    ) throws(ProtocolError) -> ServerAction {
        let goAway = try GoAwayPayload(decoding: payload)
        guard header.aux == 0 else {
            throw ProtocolError(.violation, "A client's GOAWAY names stream \(header.aux) (P-50).")
        }
        isClientLeaving = true
        if goAway.code != .noError { close() }
        return .clientLeaves(goAway)
    }

    private func tolerate(_ header: FrameHeader) throws(ProtocolError) {
        if drain.isDecided, header.stream % 2 == 1, header.stream > lastAccepted, header.stream <= highestStream {
            return
        }
        try PeerStreamCheck.tolerate(header, recent: recent, highest: highestStream)
    }

    // MARK: What this side does

    /// The answer to the last PING was written to the carrier.
    public mutating func pingAnswered() {
        pings.answerWritten()
    }

    private mutating func refuse(
        opened stream: StreamID,
        at now: ContinuousClock.Instant
    ) throws(ProtocolError) -> ServerAction {
        recent.insert(stream)
        try spendEarlyEnd(at: now)
        return .refuse(stream)
    }

    private mutating func spendEarlyEnd(at now: ContinuousClock.Instant) throws(ProtocolError) {
        try earlyEnds.spend(at: now, on: "calls that ended early (P-58)")
    }

    /// The handler of a stream wants to make a message. ``nextReady()`` tells when it may.
    public mutating func requestCredit(for stream: StreamID, at now: ContinuousClock.Instant = .now) {
        guard isOpen(stream) else { return }
        schedule.request(stream, at: now)
    }

    /// A stream whose handler may make a message now: the cost of the largest one is taken for it (P-43).
    public mutating func nextReady() -> StreamID? {
        state == .open ? schedule.next() : nil
    }

    /// The header of the next message of a stream, which is paid for from what was taken. Nil where the stream is
    /// closed, or nothing, or less, was taken: then nothing may be sent.
    public mutating func sendMessage(on stream: StreamID, length: Int) -> FrameHeader? {
        guard isOpen(stream), let header = schedule.send(on: stream, length: length) else { return nil }
        policing.forgive()
        return header
    }

    /// This side ends the stream, by END. False where it is closed already: then nothing may be sent.
    public mutating func end(_ stream: StreamID) -> Bool {
        guard isOpen(stream) else { return false }
        streams[stream] = .ended
        recent.insert(stream, grantable: schedule.remove(stream))
        policing.forgive()
        return true
    }

    /// The END that was just sent was made by the protocol, not by a service: too many of those end the connection (P-58).
    public mutating func endedEarly(at now: ContinuousClock.Instant) -> ServerAction {
        guard state != .closed else { return .none }
        do throws(ProtocolError) {
            try spendEarlyEnd(at: now)
            return .none
        } catch {
            return fail(error)
        }
    }

    /// The handler of the stream has returned: its place is free (P-23).
    public mutating func handlerReturned(_ stream: StreamID, at now: ContinuousClock.Instant = .now) {
        guard streams.removeValue(forKey: stream) != nil else { return }
        schedule.remove(stream)
        if streams.isEmpty { lifetime.rest(at: now) }
    }

    /// The connection is gone, or is to be: nothing more is received or sent. The streams that were open.
    @discardableResult
    public mutating func close() -> [StreamID] {
        guard state != .closed else { return [] }
        state = .closed
        schedule.close()
        return streams.keys.sorted()
    }

    /// The header of the GOAWAY that ends the connection because of an error.
    public func errorHeader(for goAway: GoAwayPayload) -> FrameHeader {
        FrameHeader(.goAway, aux: lastAccepted, length: UInt32(truncatingIfNeeded: goAway.byteCount))
    }

    mutating func fail(_ error: ProtocolError) -> ServerAction {
        close()
        return .fail(error)
    }
}

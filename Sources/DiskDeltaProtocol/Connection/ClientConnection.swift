internal import ByteReading

/// The client's side of a connection, as a value: what it is told and what follows. It does no I/O.
///
/// Its owner sends the preface and SETTINGS, collects ``bytesNeeded`` bytes, hands them to ``receive(_:)``, and does
/// what is returned. After anything that was received, consumed or cancelled he asks ``nextGrant()`` until it is nil.
public struct ClientConnection: Sendable {
    private enum State {
        case preface
        case settings
        case open
        case closed
    }

    private struct Stream {
        var window: ReceiveWindow
        /// What has arrived and not been consumed, in bytes with headers.
        var unread = 0
        var nextMessage: UInt32 = 0
    }

    private let settings: ClientSettings
    private var serverSettings = ServerSettings.default
    private var state = State.preface
    private var parser: FrameParser
    private var window: ReceiveWindow
    private var streams: [StreamID: Stream] = [:]
    /// The streams that this side cancelled and the server has not ended.
    private var recent: RecentStreams
    private var highestStream: StreamID = 0
    private var grants: [FrameHeader] = []
    private var isLeaving = false
    private var pings = PingExchange()
    private var keepalive: Keepalive
    private var uselessFrames = AbuseBudget()
    /// What the server's last GOAWAY named.
    private var lastAccepted: StreamID?

    /// `settings` must be valid.
    public init(
        settings: ClientSettings = .default,
        times: ClientTimes = ClientTimes(),
        at now: ContinuousClock.Instant = .now
    ) {
        self.settings = settings
        parser = FrameParser(maximumLength: settings.maximumFrame)
        window = ReceiveWindow(credit: settings.connectionCredit, threshold: settings.streamCredit / 2)
        recent = RecentStreams(capacity: 64)
        keepalive = Keepalive(times.keepalive, at: now)
    }

    /// How many bytes ``receive(_:)`` takes next. 0 means that it can be called at once.
    public var bytesNeeded: Int { parser.bytesNeeded }

    /// Whether the server has sent its preface and SETTINGS.
    public var isReady: Bool { state == .open }

    /// How many calls have not ended.
    public var streamCount: Int { streams.count }

    /// Whether calls can still be opened, the limits aside.
    public var acceptsCalls: Bool { state != .closed && !isLeaving && lastAccepted == nil }

    /// Whether the connection has nothing left to do: one side is leaving and the last call has ended.
    public var isDrained: Bool { (isLeaving || lastAccepted != nil) && streams.isEmpty }

    /// Whether the call has not ended.
    public func isOpen(_ stream: StreamID) -> Bool {
        state != .closed && streams[stream] != nil
    }

    // MARK: What arrives

    /// Takes exactly ``bytesNeeded`` bytes.
    public mutating func receive(_ bytes: RawSpan, at now: ContinuousClock.Instant = .now) -> ClientAction {
        guard state != .closed else { return .none }
        do throws(ProtocolError) {
            switch try parser.next(bytes) {
            case .preface:
                state = .settings
                return .none
            case .header:
                return .none
            case .payload(let header):
                return try receive(header, bytes, at: now)
            }
        } catch {
            return .fail(error, streams: close())
        }
    }

    /// Something has arrived, be it a part of a frame.
    public mutating func heard(at now: ContinuousClock.Instant) {
        keepalive.hear(at: now)
    }

    private mutating func receive(
        _ header: FrameHeader,
        _ payload: RawSpan,
        at now: ContinuousClock.Instant
    ) throws(ProtocolError) -> ClientAction {
        if state == .settings, header.type != .settings, header.type != .goAway {
            throw ProtocolError(.violation, "The first frame is a \(header.type), not SETTINGS (P-12).")
        }
        switch header.type {
        case .settings:
            guard state == .settings else {
                throw ProtocolError(.violation, "SETTINGS came twice (P-15).")
            }
            serverSettings = try ServerSettings(SettingsEntries(decoding: payload))
            keepalive.spacing = .milliseconds(serverSettings.minimumPingInterval)
            state = .open
            return .ready
        case .data:
            return try receiveData(header)
        case .end:
            let end = try EndPayload(decoding: payload)
            guard try isForOpenStream(header) else { return .none }
            remove(header.stream)
            return .end(header.stream, status: header.aux, end)
        case .cancel:
            guard try isForOpenStream(header) else { return .none }
            remove(header.stream)
            return .cancelled(header.stream, reason: header.aux)
        case .ping:
            guard case .asked(let bytes) = try pings.receive(header, payload) else { return .none }
            try uselessFrames.spend(at: now, on: "frames of no use (P-59)")
            return .answerPing(bytes)
        case .goAway:
            return try receiveGoAway(header, payload)
        case .open, .credit:
            throw ProtocolError(.violation, "A server sent \(header.type) (P-11).")
        default:
            try uselessFrames.spend(at: now, on: "frames of no use (P-59)")
            return .none
        }
    }

    private mutating func receiveData(_ header: FrameHeader) throws(ProtocolError) -> ClientAction {
        let cost = FrameHeader.byteCount + Int(header.length)
        guard window.receive(cost: cost) else {
            throw ProtocolError(.flowControl, "DATA of \(cost) bytes exceeds the connection's credit (P-30).")
        }
        guard var stream = streams[header.stream] else {
            try PeerStreamCheck.tolerate(header, recent: recent, highest: highestStream)
            grantConnection(cost)
            return .none
        }
        guard stream.window.receive(cost: cost) else {
            throw ProtocolError(
                .flowControl,
                "DATA of \(cost) bytes exceeds the credit of stream \(header.stream) (P-30)."
            )
        }
        guard header.aux == stream.nextMessage else {
            throw ProtocolError(
                .violation,
                "Message \(header.aux) of stream \(header.stream) came where \(stream.nextMessage) is next (P-29)."
            )
        }
        stream.nextMessage &+= 1
        stream.unread += cost
        streams[header.stream] = stream
        return .message(header.stream)
    }

    /// False where the stream was cancelled, and this is the server's end of it.
    private mutating func isForOpenStream(_ header: FrameHeader) throws(ProtocolError) -> Bool {
        if streams[header.stream] != nil { return true }
        try PeerStreamCheck.tolerate(header, recent: recent, highest: highestStream)
        recent.remove(header.stream)
        return false
    }

    private mutating func receiveGoAway(
        _ header: FrameHeader,
        _ payload: RawSpan
    ) throws(ProtocolError) -> ClientAction {
        let goAway = try GoAwayPayload(decoding: payload)
        guard header.aux <= lastAccepted ?? .max, header.aux >> 31 == 0 else {
            throw ProtocolError(.violation, "GOAWAY names stream \(header.aux), above an earlier one (P-53).")
        }
        lastAccepted = header.aux
        let notTakenUp = streams.keys.filter { $0 > header.aux }.sorted()
        for stream in notTakenUp { remove(stream) }
        let failed = goAway.code == .noError ? [] : close()
        return .serverLeaves(goAway, notTakenUp: notTakenUp, failed: failed)
    }

    // MARK: What this side does

    /// The answer to the last PING was written to the carrier.
    public mutating func pingAnswered() {
        pings.answerWritten()
    }

    /// Opens a call: the header of its OPEN frame, for a payload of `length` bytes.
    ///
    /// Before the server's SETTINGS are there, a payload may be no longer than every server accepts (P-17).
    public mutating func open(
        length: Int,
        timeout: Duration?,
        at now: ContinuousClock.Instant = .now
    ) throws(OpenRefusal) -> FrameHeader {
        guard acceptsCalls, highestStream < UInt32(Int32.max) - 1 else { throw .closed }
        let limit = settings.streamLimit(serverSettings)
        guard streams.count < limit else { throw .streamLimit(limit) }
        let maximum = isReady ? Int(serverSettings.maximumFrame) : 16_384
        guard length <= maximum else { throw .requestTooLong(maximum: maximum) }
        let stream = highestStream == 0 ? 1 : highestStream + 2
        highestStream = stream
        // Nobody cared for the silence before.
        if streams.isEmpty { keepalive.hear(at: now) }
        streams[stream] = Stream(
            window: ReceiveWindow(credit: settings.streamCredit, threshold: settings.streamCredit / 2)
        )
        let aux = timeout.map(Self.milliseconds) ?? 0
        return FrameHeader(.open, stream: stream, aux: aux, length: UInt32(truncatingIfNeeded: length))
    }

    /// The reader of a stream took a message whose payload had `byteCount` bytes.
    public mutating func consumed(_ stream: StreamID, byteCount: Int) {
        guard state != .closed, var record = streams[stream] else { return }
        let cost = min(FrameHeader.byteCount + byteCount, record.unread)
        record.unread -= cost
        let grant = record.window.consume(cost: cost)
        streams[stream] = record
        if grant > 0 { grants.append(FrameHeader(.credit, stream: stream, aux: grant)) }
        grantConnection(cost)
    }

    /// Gives up a call. The CANCEL to send; nil where it has ended.
    public mutating func cancel(_ stream: StreamID, reason: UInt32) -> FrameHeader? {
        guard isOpen(stream) else { return nil }
        remove(stream)
        recent.insert(stream)
        return FrameHeader(.cancel, stream: stream, aux: reason)
    }

    /// A CREDIT to send, nil where none is due.
    public mutating func nextGrant() -> FrameHeader? {
        grants.isEmpty ? nil : grants.removeFirst()
    }

    /// When ``timePassed(at:)`` has something to say, if nothing happens before; nil where it has not.
    public var nextDeadline: ContinuousClock.Instant? {
        watchesServer ? keepalive.deadline : nil
    }

    /// It is `now`. To be called again until it returns `none`.
    public mutating func timePassed(at now: ContinuousClock.Instant) -> ClientAction {
        guard watchesServer else { return .none }
        switch keepalive.check(at: now) {
        case .wait: return .none
        case .ask: return pings.send().map(ClientAction.sendPing) ?? .none
        case .dead: return .dead(streams: close())
        }
    }

    /// Whether it matters that the server is still there.
    private var watchesServer: Bool { state == .open && !streams.isEmpty }

    /// This side is leaving: it opens no more calls. The GOAWAY to send; nil where there is nothing to say it to.
    public mutating func leave() -> FrameHeader? {
        guard state != .closed, !isLeaving else { return nil }
        isLeaving = true
        return FrameHeader(.goAway)
    }

    /// The connection is gone, or is to be. The calls that had not ended.
    @discardableResult
    public mutating func close() -> [StreamID] {
        guard state != .closed else { return [] }
        state = .closed
        grants.removeAll()
        defer { streams.removeAll() }
        return streams.keys.sorted()
    }

    /// A call is over: what of it was not read counts as consumed for the connection (P-47).
    private mutating func remove(_ stream: StreamID) {
        guard let record = streams.removeValue(forKey: stream) else { return }
        grants.removeAll { $0.stream == stream }
        grantConnection(record.unread)
    }

    private mutating func grantConnection(_ cost: Int) {
        let grant = window.consume(cost: cost)
        if grant > 0 { grants.append(FrameHeader(.credit, aux: grant)) }
    }

    /// The time in ms for OPEN: at least 1, since 0 means no limit, and at most what fits.
    private static func milliseconds(_ timeout: Duration) -> UInt32 {
        let (seconds, attoseconds) = timeout.components
        guard seconds < 2_147_483 else { return UInt32(Int32.max) }
        let milliseconds = seconds * 1_000 + attoseconds / 1_000_000_000_000_000
        return UInt32(min(max(milliseconds, 1), Int64(Int32.max)))
    }
}

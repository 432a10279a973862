internal import ByteReading

/// The server's side of a connection, as a value: what it is told and what follows. It does no I/O and knows no time
/// but what it is told. `Docs/Protocol.md` is what it obeys.
///
/// Its owner collects ``bytesNeeded`` bytes, hands them to ``receive(_:at:)``, and does what is returned. After
/// anything that may have freed credit he asks ``nextReady()`` until it is nil.
public struct ServerConnection: Sendable {
    private enum State {
        case preface
        case settings
        case open
        case closed
    }

    private struct Stream {
        enum Phase {
            case open
            /// This side sent END or CANCEL; the handler has not returned yet.
            case ended
            /// The client sent CANCEL; the handler has not returned yet.
            case cancelled
        }

        var phase = Phase.open
        var window: SendWindow
        /// What is taken of both windows for the message in the making.
        var reserved = 0
        var nextMessage: UInt32 = 0
    }

    private let settings: ServerSettings
    private var clientSettings = ClientSettings.default
    private var state = State.preface
    private var parser: FrameParser
    private var window = SendWindow(credit: 0)
    private var streams: [StreamID: Stream] = [:]
    private var recent: RecentStreams
    /// Streams whose handlers wait for credit, the longest wait first.
    private var waiting: [StreamID] = []
    private var highestStream: StreamID = 0
    /// The highest stream that was taken up.
    private var lastAccepted: StreamID = 0
    private var isDraining = false
    private var isClientLeaving = false
    private var hasUnansweredPing = false
    private var earlyEnds = AbuseBudget()
    private var idleFrames = AbuseBudget()

    /// `settings` must be valid.
    public init(settings: ServerSettings = .default) {
        self.settings = settings
        parser = FrameParser(maximumLength: settings.maximumFrame)
        recent = RecentStreams(capacity: max(64, Int(settings.maximumStreams)))
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
    public var isDrained: Bool { isDraining && streams.isEmpty }

    /// Whether something may still be sent on the stream.
    public func isOpen(_ stream: StreamID) -> Bool {
        state == .open && streams[stream]?.phase == .open
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
                return try receive(header, bytes, at: now)
            }
        } catch {
            return fail(error)
        }
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
            return try receiveSettings(payload)
        case .open:
            return try receiveOpen(header, payload, at: now)
        case .cancel:
            return try receiveCancel(header, at: now)
        case .credit:
            try receiveCredit(header)
            return .none
        case .ping:
            return try receivePing(header, payload, at: now)
        case .goAway:
            return try receiveGoAway(header, payload)
        case .data, .end:
            throw ProtocolError(.violation, "A client sent \(header.type) (P-11).")
        default:
            try idleFrames.spend(at: now, on: "frames of no use (P-59)")
            return .none
        }
    }

    private mutating func receiveSettings(_ payload: RawSpan) throws(ProtocolError) -> ServerAction {
        guard state == .settings else {
            throw ProtocolError(.violation, "SETTINGS came twice (P-15).")
        }
        clientSettings = try ClientSettings(SettingsEntries(decoding: payload))
        window = SendWindow(credit: clientSettings.connectionCredit)
        state = .open
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
        guard !isDraining else { return .none }
        guard streams.count < clientSettings.streamLimit(settings) else {
            recent.insert(header.stream)
            try earlyEnds.spend(at: now, on: "calls refused or cancelled (P-58)")
            return .refuse(header.stream)
        }
        lastAccepted = header.stream
        streams[header.stream] = Stream(window: SendWindow(credit: clientSettings.streamCredit))
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
        streams[header.stream]?.phase = .cancelled
        releaseReservation(of: header.stream)
        try earlyEnds.spend(at: now, on: "calls refused or cancelled (P-58)")
        return .cancel(header.stream)
    }

    private mutating func receiveCredit(_ header: FrameHeader) throws(ProtocolError) {
        if header.stream == 0 {
            try window.grant(header.aux, stream: 0)
        } else if isOpen(header.stream) {
            try streams[header.stream]?.window.grant(header.aux, stream: header.stream)
        } else {
            try tolerate(header)
        }
    }

    private mutating func receivePing(
        _ header: FrameHeader,
        _ payload: RawSpan,
        at now: ContinuousClock.Instant
    ) throws(ProtocolError) -> ServerAction {
        try idleFrames.spend(at: now, on: "frames of no use (P-59)")
        let bytes = try PingRule.receive(header, payload, hasUnansweredPing: hasUnansweredPing)
        hasUnansweredPing = true
        return .answerPing(bytes)
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
        if isDraining, header.stream % 2 == 1, header.stream > lastAccepted, header.stream <= highestStream { return }
        try PeerStreamCheck.tolerate(header, recent: recent, highest: highestStream)
    }

    // MARK: What this side does

    /// The answer to the last PING was written to the carrier.
    public mutating func pingAnswered() {
        hasUnansweredPing = false
    }

    /// The handler of a stream wants to make a message. ``nextReady()`` tells when it may.
    public mutating func requestCredit(for stream: StreamID) {
        guard isOpen(stream), streams[stream]?.reserved == 0, !waiting.contains(stream) else { return }
        waiting.append(stream)
    }

    /// A stream whose handler may make a message now: the cost of the largest one is taken for it (P-43).
    public mutating func nextReady() -> StreamID? {
        let cost = clientSettings.maximumCost
        guard state == .open, window.free >= cost else { return nil }
        guard let index = waiting.firstIndex(where: { (streams[$0]?.window.free ?? 0) >= cost }) else { return nil }
        let stream = waiting.remove(at: index)
        window.reserve(cost)
        streams[stream]?.window.reserve(cost)
        streams[stream]?.reserved = cost
        return stream
    }

    /// The header of the next message of a stream, which is paid for from what was taken. Nil where the stream is
    /// closed, or nothing, or less, was taken: then nothing may be sent.
    public mutating func sendMessage(on stream: StreamID, length: Int) -> FrameHeader? {
        guard isOpen(stream), var record = streams[stream] else { return nil }
        let cost = FrameHeader.byteCount + length
        guard length >= 0, record.reserved >= cost else { return nil }
        let header = FrameHeader(.data, stream: stream, aux: record.nextMessage, length: UInt32(length))
        window.settle(reserved: record.reserved, cost: cost)
        record.window.settle(reserved: record.reserved, cost: cost)
        record.reserved = 0
        record.nextMessage &+= 1
        streams[stream] = record
        return header
    }

    /// This side ends the stream, by END or CANCEL. False where it is closed already: then nothing may be sent.
    public mutating func end(_ stream: StreamID) -> Bool {
        guard isOpen(stream) else { return false }
        streams[stream]?.phase = .ended
        releaseReservation(of: stream)
        recent.insert(stream)
        return true
    }

    /// The handler of the stream has returned: its place is free (P-23).
    public mutating func handlerReturned(_ stream: StreamID) {
        releaseReservation(of: stream)
        streams[stream] = nil
    }

    /// This side is stopping: it takes up no more streams. The GOAWAY to send, without its payload; nil where one was
    /// sent, or nothing can be.
    public mutating func drain() -> FrameHeader? {
        guard state == .open || state == .settings, !isDraining else { return nil }
        isDraining = true
        return FrameHeader(.goAway, aux: lastAccepted)
    }

    /// The time for the handshake is up.
    public mutating func handshakeTimedOut() -> ServerAction {
        switch state {
        case .preface: fail(ProtocolError(.foreignPeer, "No preface came in time (P-56)."))
        case .settings: fail(ProtocolError(.handshakeTimeout, "No SETTINGS came in time (P-56)."))
        case .open, .closed: .none
        }
    }

    /// The connection is gone, or is to be: nothing more is received or sent. The streams that were open.
    @discardableResult
    public mutating func close() -> [StreamID] {
        guard state != .closed else { return [] }
        state = .closed
        waiting.removeAll()
        return streams.keys.sorted()
    }

    /// The header of the GOAWAY that ends the connection because of an error.
    public func errorHeader(for goAway: GoAwayPayload) -> FrameHeader {
        FrameHeader(.goAway, aux: lastAccepted, length: UInt32(truncatingIfNeeded: goAway.byteCount))
    }

    private mutating func fail(_ error: ProtocolError) -> ServerAction {
        close()
        return .fail(error)
    }

    private mutating func releaseReservation(of stream: StreamID) {
        waiting.removeAll { $0 == stream }
        guard let reserved = streams[stream]?.reserved, reserved > 0 else { return }
        window.settle(reserved: reserved, cost: 0)
        streams[stream]?.window.settle(reserved: reserved, cost: 0)
        streams[stream]?.reserved = 0
    }
}

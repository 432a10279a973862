import DiskDeltaProtocol

/// Frames as bytes, for tests that speak to a state machine.
enum Wire {
    static func preface(major: UInt16 = 1) -> [UInt8] {
        var bytes: [UInt8] = []
        Preface(major: major, minor: 0, features: 0).encode(into: &bytes)
        return bytes
    }

    static func settings(_ entries: SettingsEntries) -> [UInt8] {
        var bytes: [UInt8] = []
        entries.header.encode(into: &bytes)
        entries.encode(into: &bytes)
        return bytes
    }

    static func frame(
        _ type: FrameType,
        stream: StreamID = 0,
        aux: UInt32 = 0,
        flags: UInt8 = 0,
        _ payload: [UInt8] = []
    ) -> [UInt8] {
        var bytes: [UInt8] = []
        FrameHeader(type, stream: stream, aux: aux, length: UInt32(payload.count), flags: flags).encode(into: &bytes)
        return bytes + payload
    }

    static func open(_ stream: StreamID, timeout: UInt32 = 0, path: String = "a.B/C", request: [UInt8] = []) -> [UInt8]
    {
        var payload: [UInt8] = []
        OpenPayload(path: path)?.encode(into: &payload)
        return frame(.open, stream: stream, aux: timeout, payload + request)
    }

    static func data(_ stream: StreamID, _ number: UInt32, _ payload: [UInt8] = [1, 2, 3]) -> [UInt8] {
        frame(.data, stream: stream, aux: number, payload)
    }

    static func end(_ stream: StreamID, status: UInt32 = 0, text: String = "") -> [UInt8] {
        var payload: [UInt8] = []
        EndPayload(text: text).encode(into: &payload)
        return frame(.end, stream: stream, aux: status, payload)
    }

    static func goAway(_ code: GoAwayCode, last: StreamID = 0) -> [UInt8] {
        var payload: [UInt8] = []
        GoAwayPayload(code: code, text: "").encode(into: &payload)
        return frame(.goAway, aux: last, payload)
    }
}

/// Collects bytes and hands a state machine as many as it asks for.
struct Feeder {
    private var pending: [UInt8] = []

    /// How many bytes wait for more.
    var unread: Int { pending.count }

    /// Feeds what there is; every action but `none` goes to `body`, with the bytes that were just handed in. It goes on
    /// until there are too few, or `body` returns false.
    mutating func feed(
        _ bytes: some Sequence<UInt8>,
        to connection: inout ServerConnection,
        at now: ContinuousClock.Instant = .now,
        _ body: (inout ServerConnection, ServerAction) -> Bool
    ) {
        pending += bytes
        var start = 0
        while pending.count - start >= connection.bytesNeeded {
            let piece = Array(pending[start..<start + connection.bytesNeeded])
            start += piece.count
            let action = connection.receive(piece.span.bytes, at: now)
            if action != .none, !body(&connection, action) { break }
        }
        pending.removeFirst(start)
    }

    mutating func feed(
        _ bytes: some Sequence<UInt8>,
        to connection: inout ClientConnection,
        at now: ContinuousClock.Instant = .now,
        _ body: (inout ClientConnection, ClientAction, [UInt8]) -> Bool
    ) {
        pending += bytes
        var start = 0
        while pending.count - start >= connection.bytesNeeded {
            let piece = Array(pending[start..<start + connection.bytesNeeded])
            start += piece.count
            let action = connection.receive(piece.span.bytes, at: now)
            if action != .none, !body(&connection, action, piece) { break }
        }
        pending.removeFirst(start)
    }
}

/// Whose message is made next: the credit of a connection and of its streams, and the streams that wait for it. P-41 to
/// P-43 of `Docs/Protocol.md`.
struct SendSchedule: Sendable {
    private struct Stream {
        var window: SendWindow
        /// What is taken of both windows for the message in the making.
        var reserved = 0
        var nextMessage: UInt32 = 0
        /// When the handler asked for credit that it has not got.
        var waitingSince: ContinuousClock.Instant?
    }

    private let streamCredit: UInt32
    /// What the largest message costs.
    private let cost: Int
    private var window: SendWindow
    private var streams: [StreamID: Stream] = [:]
    /// The streams that wait for credit, the longest wait first.
    private var waiting: [StreamID] = []

    init(_ settings: ClientSettings) {
        streamCredit = settings.streamCredit
        cost = settings.maximumCost
        window = SendWindow(credit: settings.connectionCredit)
    }

    mutating func add(_ stream: StreamID) {
        streams[stream] = Stream(window: SendWindow(credit: streamCredit))
    }

    /// Adds what the client grants, to the connection for stream 0. False where that was of no use: it raises the credit
    /// above what it started with.
    mutating func grant(_ count: UInt32, to stream: StreamID) throws(ProtocolError) -> Bool {
        guard stream != 0 else { return try window.grant(count, stream: 0) }
        return try streams[stream]?.window.grant(count, stream: stream) ?? false
    }

    /// The handler of a stream wants to make a message.
    mutating func request(_ stream: StreamID, at now: ContinuousClock.Instant) {
        guard let record = streams[stream], record.reserved == 0, record.waitingSince == nil else { return }
        streams[stream]?.waitingSince = now
        waiting.append(stream)
    }

    /// A stream that may make a message now: the cost of the largest one is taken for it.
    mutating func next() -> StreamID? {
        guard window.free >= cost else { return nil }
        guard let index = waiting.firstIndex(where: { (streams[$0]?.window.free ?? 0) >= cost }) else { return nil }
        let stream = waiting.remove(at: index)
        window.reserve(cost)
        streams[stream]?.window.reserve(cost)
        streams[stream]?.reserved = cost
        streams[stream]?.waitingSince = nil
        return stream
    }

    /// Whether a stream waits and its client has left it without credit.
    func isStalled(_ stream: StreamID) -> Bool {
        guard let record = streams[stream], record.waitingSince != nil else { return false }
        return min(window.free, record.window.free) < cost
    }

    /// The stream that has waited longest.
    var longestWait: (stream: StreamID, since: ContinuousClock.Instant)? {
        guard let stream = waiting.first, let since = streams[stream]?.waitingSince else { return nil }
        return (stream, since)
    }

    /// Pays for a message from what was taken, and gives back the rest: the header of its frame. Nil where nothing, or
    /// less, was taken.
    mutating func send(on stream: StreamID, length: Int) -> FrameHeader? {
        guard var record = streams[stream], length >= 0 else { return nil }
        guard record.reserved >= FrameHeader.byteCount, length <= record.reserved - FrameHeader.byteCount else {
            return nil
        }
        let cost = FrameHeader.byteCount + length
        let header = FrameHeader(.data, stream: stream, aux: record.nextMessage, length: UInt32(length))
        window.settle(reserved: record.reserved, cost: cost)
        record.window.settle(reserved: record.reserved, cost: cost)
        record.reserved = 0
        record.nextMessage &+= 1
        streams[stream] = record
        return header
    }

    /// A stream is closed: what was taken for it is given back. What a client that has not yet heard of it may still
    /// grant, in bytes.
    @discardableResult
    mutating func remove(_ stream: StreamID) -> Int {
        guard let record = streams.removeValue(forKey: stream) else { return 0 }
        if record.waitingSince != nil { waiting.removeAll { $0 == stream } }
        window.settle(reserved: record.reserved, cost: 0)
        return record.window.spent
    }

    /// Nobody waits any more.
    mutating func close() {
        waiting.removeAll()
        streams.removeAll()
    }
}

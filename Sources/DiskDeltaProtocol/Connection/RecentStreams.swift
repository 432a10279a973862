/// The streams that this side closed last, for which frames may still be on their way (P-22).
struct RecentStreams: Sendable {
    private struct Entry {
        var stream: StreamID
        /// What the peer may grant before it knows, in bytes.
        var grantable: Int
    }

    private var streams: [Entry] = []
    private var oldest = 0
    private let capacity: Int

    init(capacity: Int) {
        self.capacity = max(capacity, 1)
    }

    func contains(_ stream: StreamID) -> Bool {
        stream != 0 && streams.contains { $0.stream == stream }
    }

    /// Remembers a stream, and forgets the oldest where there is no room.
    ///
    /// - Parameter grantable: What it has spent and the peer may grant again before it knows, in bytes.
    mutating func insert(_ stream: StreamID, grantable: Int = 0) {
        let entry = Entry(stream: stream, grantable: grantable)
        if streams.count < capacity {
            streams.append(entry)
        } else {
            streams[oldest] = entry
            oldest = (oldest + 1) % capacity
        }
    }

    /// The peer grants something to a stream. False where that is more than the stream had spent.
    mutating func grant(_ count: UInt32, to stream: StreamID) -> Bool {
        guard let index = streams.firstIndex(where: { $0.stream == stream }) else { return false }
        guard Int(count) <= streams[index].grantable else { return false }
        streams[index].grantable -= Int(count)
        return true
    }

    /// The peer closed the stream too: nothing more may come.
    mutating func remove(_ stream: StreamID) {
        if let index = streams.firstIndex(where: { $0.stream == stream }) { streams[index].stream = 0 }
    }
}

/// The streams that this side closed last, for which frames may still be on their way (P-22).
struct RecentStreams: Sendable {
    private var streams: [StreamID] = []
    private var oldest = 0
    private let capacity: Int

    init(capacity: Int) {
        self.capacity = max(capacity, 1)
    }

    func contains(_ stream: StreamID) -> Bool {
        stream != 0 && streams.contains(stream)
    }

    /// Remembers a stream, and forgets the oldest where there is no room.
    mutating func insert(_ stream: StreamID) {
        if streams.count < capacity {
            streams.append(stream)
        } else {
            streams[oldest] = stream
            oldest = (oldest + 1) % capacity
        }
    }

    /// The peer closed the stream too: nothing more may come.
    mutating func remove(_ stream: StreamID) {
        if let index = streams.firstIndex(of: stream) { streams[index] = 0 }
    }
}

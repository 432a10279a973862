/// A batch that is read range by range, and how far it was read.
struct UnreadRanges: Sendable {
    private let batch: RangeBatch
    private let ranges: [ChangedRange]
    private var next = 0

    init(_ batch: RangeBatch) {
        self.batch = batch
        ranges = batch.ranges
    }

    /// Everything of the disk below this byte was read.
    var position: UInt64 {
        next == 0 ? batch.start : ranges[next - 1].end
    }

    /// Takes the next range; nil where all were read.
    mutating func popFirst() -> ChangedRange? {
        guard next < ranges.count else { return nil }
        defer { next += 1 }
        return ranges[next]
    }

    /// What was not read, which may be no range, but a stretch of the disk that has none.
    var rest: RangeBatch { batch.dropFirst(next) }
}

internal import DiskDeltaProtocol

/// A part of an answer that has been checked: the ranges that end between two points of the disk.
///
/// It is immutable and may be handed to other tasks. Its columns lie where the message was unpacked to; nothing is copied for
/// each range.
public final class RangeBatch: Sendable {
    /// Where the batch starts, in bytes: the end of the batch before it, or the start of the window. Of a batch that was begun
    /// range by range, and is read on as a batch, the end of the last range that was read.
    public let start: UInt64
    /// Everything below this byte of the disk is answered for.
    public let processedEnd: UInt64
    /// The bytes that the columns count in.
    public let unit: UInt64
    /// The size of the disk: where a range ends that would go beyond it.
    let size: UInt64

    private let gaps: UInt64Column
    private let lengths: UInt64Column
    private let zero: ByteColumn

    init(
        start: UInt64,
        processedEnd: UInt64,
        unit: UInt64,
        size: UInt64,
        gaps: UInt64Column,
        lengths: UInt64Column,
        zero: ByteColumn
    ) {
        self.start = start
        self.processedEnd = processedEnd
        self.unit = unit
        self.size = size
        self.gaps = gaps
        self.lengths = lengths
        self.zero = zero
    }

    /// How many ranges there are. A batch without a range tells that the server has come further.
    public var count: Int { gaps.count }

    /// Lends the columns, in units of `unit` bytes. The first range starts its gap after `start`, each other one its gap
    /// after the end of the one before it. `zero` has a bit for each range, least significant first, set where it is of
    /// kind `zero`; it is empty where all hold data. A range that would end beyond the disk ends with it.
    public func withColumns<Result>(
        _ body: (_ gaps: Span<UInt64>, _ lengths: Span<UInt64>, _ zero: Span<UInt8>) throws -> Result
    ) rethrows -> Result {
        try gaps.withSpan { gaps in
            try lengths.withSpan { lengths in
                try zero.withSpan { zero in try body(gaps, lengths, zero) }
            }
        }
    }

    /// Calls `body` with each range, in ascending order.
    @inline(__always)
    public func forEach(_ body: (ChangedRange) throws -> Void) rethrows {
        try withColumns { gaps, lengths, zero in
            var end = start
            for index in gaps.indices {
                // The batch was checked: nothing here can overflow.
                let offset = end + gaps[index] * unit
                end = min(offset + lengths[index] * unit, size)
                let isZero = !zero.isEmpty && zero[index / 8] >> UInt8(index % 8) & 1 == 1
                try body(ChangedRange(offset: offset, length: end - offset, kind: isZero ? .zero : .data))
            }
        }
    }

    /// The ranges as an array.
    public var ranges: [ChangedRange] {
        var ranges: [ChangedRange] = []
        ranges.reserveCapacity(count)
        forEach { ranges.append($0) }
        return ranges
    }

    /// The batch without its first `read` ranges, of which it has as many. It starts where the last of them ends.
    func dropFirst(_ read: Int) -> RangeBatch {
        guard read > 0 else { return self }
        return withColumns { gaps, lengths, zero in
            // The batch was checked: nothing here can overflow.
            let units = (0..<read).reduce(0) { $0 + gaps[$1] + lengths[$1] }
            let left = read..<gaps.count
            var bits = [UInt8](repeating: 0, count: zero.isEmpty ? 0 : (left.count + 7) / 8)
            for index in left where !zero.isEmpty && zero[index / 8] >> UInt8(index % 8) & 1 == 1 {
                bits[(index - read) / 8] |= 1 << UInt8((index - read) % 8)
            }
            return RangeBatch(
                start: min(start + units * unit, size),
                processedEnd: processedEnd,
                unit: unit,
                size: size,
                gaps: UInt64Column(left.map { gaps[$0] }),
                lengths: UInt64Column(left.map { lengths[$0] }),
                zero: ByteColumn(bits)
            )
        }
    }
}

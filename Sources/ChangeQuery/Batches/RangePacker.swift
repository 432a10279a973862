/// Packs ranges that are known already into batches, as those of a `RangeCursor` are: an answer that was kept is told again
/// in messages of the length that whoever asks for it takes.
///
/// Ranges are given in ascending order, and may be given beyond the window: they are clipped to it.
public struct RangePacker {
    private var builder: BatchBuilder

    /// - Parameters:
    ///   - start: where the window starts, in bytes.
    ///   - end: where it ends; at least `start`.
    ///   - unit: what the batches count in: a power of two that divides `start` and every boundary of a range, the disk's very
    ///     end aside.
    ///   - maximumMessage: the longest message, in bytes, that a batch may be packed into; at least 16 KiB.
    /// - Throws: `invalidParameter` where `end` is below `start`, or `unit` is no power of two.
    public init(from start: UInt64, to end: UInt64, unit: UInt64, maximumMessage: Int) throws(QueryError) {
        guard start <= end else {
            throw QueryError(.invalidParameter, "The window ends at \(end), before its start at \(start)")
        }
        guard unit.nonzeroBitCount == 1 else {
            throw QueryError(.invalidParameter, "The unit \(unit) is no power of two")
        }
        let window = try Window(offset: start, length: end - start, size: end, sector: 1)
        builder = BatchBuilder(window: window, unit: unit, limits: BatchLimits(maximumMessage: maximumMessage))
    }

    /// Makes ready for the ranges of the next batch. To be called before the first of them.
    ///
    /// - Throws: `resourceLimit` where there is no memory for them.
    public mutating func prepare() throws(QueryError) { try builder.prepare() }

    /// Whether the batch is to be taken before another range is given.
    public var isFull: Bool { builder.isFull }

    /// The sum of the ranges so far: of all of them, once `takeLast()` was called.
    public var totals: RangeTotals { builder.totals }

    /// The first byte that no batch has answered for.
    public var processedEnd: UInt64 { builder.processedEnd }

    /// Adds the range from `start` to `end`, which begins where the one before it ended or above.
    public mutating func add(from start: UInt64, to end: UInt64, kind: RangeKind) {
        builder.add(from: start, to: end, kind: kind)
    }

    /// The batch of the ranges so far, when everything below `settled` was given. A range that ends there may still grow: it
    /// stays for the next batch.
    public mutating func take(upTo settled: UInt64) -> RangeBatch { builder.take(upTo: settled) }

    /// The last batch, when everything was given.
    public mutating func takeLast() -> RangeBatch { builder.takeLast() }
}

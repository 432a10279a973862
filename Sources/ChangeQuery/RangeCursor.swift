internal import DiskImages

/// The answer to a planned question, pulled batch by batch.
///
/// It walks metadata only, in ascending order, at a cost that follows the window and not the disk. Its memory is one extent
/// and one mask of bits for each layer and one batch, whatever the size of the disk and the number of ranges.
public final class RangeCursor {
    private var walk: ChangeWalk
    private var ranges: GranuleWidener
    private let window: Window
    private let evidence: Evidence
    /// Everything below was walked over.
    private var position: UInt64
    private let end: UInt64
    private let limits: BatchLimits
    private var isFinished = false
    /// The stripes that were looked at for the batch under way, and those of them in a row that added no range to it.
    private var stripes = 0
    private var dryStripes = 0

    /// What a pull comes back with.
    public enum Pull: Sendable {
        case batch(RangeBatch)
        /// It was interrupted: the next one goes on from there.
        case pause
        /// The whole window is answered for.
        case end
    }

    /// What is wanted of a pull under way.
    public enum Wish: Sendable {
        case goOn
        /// To let others have a turn. Nothing is lost, and no batch is smaller for it.
        case pause
        /// The batch, now, as it is.
        case batch
    }

    /// - Parameter maximumMessage: the longest message, in bytes, that the answer may be packed into; at least 16 KiB.
    public convenience init(_ plan: Plan, maximumMessage: Int = 256 * 1024) {
        self.init(plan, limits: BatchLimits(maximumMessage: maximumMessage))
    }

    init(_ plan: Plan, limits: BatchLimits) {
        self.limits = limits
        walk = ChangeWalk(plan, limits: limits)
        ranges = GranuleWidener(plan, limits: limits)
        window = plan.window
        evidence = plan.evidence
        // Ranges are widened over the whole disk, and only then does the window clip them.
        let before = plan.window.start % plan.granularity
        let over = plan.window.end % plan.granularity
        position = plan.window.start - before
        let after = over == 0 ? 0 : plan.granularity - over
        end =
            plan.window.start == plan.window.end
            ? position : plan.window.end + min(after, plan.size - plan.window.end)
    }

    /// The sum of the ranges so far; of the whole answer, once `next()` has returned nil.
    public var totals: RangeTotals { ranges.batches.totals }

    /// The first byte of the disk that no batch has answered for; once `next()` has returned nil, the end of the window.
    public var processedEnd: UInt64 { ranges.batches.processedEnd }

    /// The next batch, or nil when the whole window is answered for.
    ///
    /// A batch may have no range: it then only tells that the walk has come further. One that comes no further at all, because
    /// a range goes on and on, has none either.
    ///
    /// - Parameter isDue: asked after each stripe of the disk whether the batch is wanted now, as it is. A batch may be smaller
    ///   for that, and the ranges of all batches together are the same.
    /// - Throws: an error of an image that could not be read; `epochChanged` where a file that the answer rests on changed since
    ///   it was opened. What was given before stays right for the epoch of the plan.
    public func next(until isDue: () -> Bool = { false }) throws(QueryError) -> RangeBatch? {
        guard case .batch(let batch) = try pull({ isDue() ? .batch : .goOn }) else { return nil }
        return batch
    }

    /// The next batch as ``next(until:)`` gives it, in several turns where that is wished.
    ///
    /// - Parameter wish: asked after each stripe of the disk what is wanted. There may be millions of them in a second.
    public func pull(_ wish: () -> Wish) throws(QueryError) -> Pull {
        guard !isFinished else { return .end }
        try evidence.check()
        try ranges.prepare()
        do throws(QueryError) {
            guard try fillBatch(wish) else { return .pause }
        } catch {
            // What a file that is being written to seems to have is neither an answer nor a reason.
            try evidence.check()
            throw error
        }
        stripes = 0
        dryStripes = 0
        // What was read belongs to the plan's epoch only if the files are still those that were opened.
        try evidence.check()
        guard position >= end else { return .batch(ranges.takeBatch(at: position)) }
        isFinished = true
        return window.start == window.end ? .end : .batch(ranges.takeLastBatch())
    }

    /// Walks on until there is a batch to give. False where a pause was wished before.
    private func fillBatch(_ wish: () -> Wish) throws(QueryError) -> Bool {
        while position < end, stripes < limits.stripes, !ranges.batches.isFull {
            let before = ranges.batches.rangesEnd
            position = try walk.step(from: position, limit: end, into: &ranges)
            stripes += 1
            dryStripes = ranges.batches.rangesEnd == before ? dryStripes + 1 : 0
            if dryStripes >= limits.dryStripes, ranges.batches.hasRanges { break }
            switch wish() {
            case .goOn: continue
            case .batch: return true
            case .pause:
                guard position < end else { return true }
                ranges.rest()
                return false
            }
        }
        return true
    }
}

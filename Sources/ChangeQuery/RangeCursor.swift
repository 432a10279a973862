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
        guard !isFinished else { return nil }
        try evidence.check()
        try ranges.prepare()
        do throws(QueryError) {
            try fillBatch(until: isDue)
        } catch {
            // What a file that is being written to seems to have is neither an answer nor a reason.
            try evidence.check()
            throw error
        }
        // What was read belongs to the plan's epoch only if the files are still those that were opened.
        try evidence.check()
        guard position >= end else { return ranges.takeBatch(at: position) }
        isFinished = true
        return window.start == window.end ? nil : ranges.takeLastBatch()
    }

    /// Walks on until there is a batch to give.
    private func fillBatch(until isDue: () -> Bool) throws(QueryError) {
        var stripes = 0
        var dryStripes = 0
        while position < end, stripes < limits.stripes, !ranges.batches.isFull {
            let before = ranges.batches.rangesEnd
            position = try walk.step(from: position, limit: end, into: &ranges)
            stripes += 1
            dryStripes = ranges.batches.rangesEnd == before ? dryStripes + 1 : 0
            if dryStripes >= limits.dryStripes, ranges.batches.hasRanges { break }
            if isDue() { break }
        }
    }
}

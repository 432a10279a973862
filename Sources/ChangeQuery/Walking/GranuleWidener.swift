/// Widens ranges to whole granules, over the whole disk, before the window clips them.
///
/// A granule of which any part changed is reported whole: as `zero` where all of it changed to zeroes, otherwise as `data`.
/// Where the granule is the sector, ranges pass unchanged.
struct GranuleWidener {
    private let granularity: UInt64
    private let sector: UInt64
    private let size: UInt64
    private(set) var batches: BatchBuilder

    /// The granule that ranges cover in part so far.
    private var granule: (start: UInt64, zeroBytes: UInt64, hasData: Bool)?

    init(_ plan: Plan, limits: BatchLimits) {
        granularity = plan.granularity
        sector = plan.sector
        size = plan.size
        batches = BatchBuilder(window: plan.window, unit: plan.unit, limits: limits)
    }

    /// Has room ready for the next batch.
    mutating func prepare() throws(QueryError) {
        try batches.prepare()
    }

    /// Needs no room for a while, unless something is in it.
    mutating func rest() {
        batches.rest()
    }

    /// Takes the next range; ranges come in ascending order and do not overlap.
    @inline(__always)
    mutating func add(from start: UInt64, to end: UInt64, kind: RangeKind) {
        if granularity == sector {
            batches.add(from: start, to: end, kind: kind)
        } else {
            widen(from: start, to: end, kind: kind)
        }
    }

    private mutating func widen(from start: UInt64, to end: UInt64, kind: RangeKind) {
        var position = start
        while position < end {
            let first = position - position % granularity
            if let granule, granule.start != first { closeGranule() }
            if position == first, end - first >= length(ofGranuleAt: first) {
                let wholeEnd = end == size ? size : end - end % granularity
                batches.add(from: first, to: wholeEnd, kind: kind)
                position = wholeEnd
            } else {
                let part = min(end, first + length(ofGranuleAt: first)) - position
                var current = granule ?? (start: first, zeroBytes: 0, hasData: false)
                switch kind {
                case .data: current.hasData = true
                case .zero: current.zeroBytes += part
                }
                granule = current
                position += part
            }
        }
    }

    /// The last granule of a disk may be shorter than the others.
    private func length(ofGranuleAt start: UInt64) -> UInt64 {
        min(granularity, size - start)
    }

    private mutating func closeGranule() {
        guard let granule else { return }
        let length = length(ofGranuleAt: granule.start)
        let allZero = !granule.hasData && granule.zeroBytes == length
        batches.add(from: granule.start, to: granule.start + length, kind: allZero ? .zero : .data)
        self.granule = nil
    }

    /// Closes the batch under way, when everything below `position` was given.
    mutating func takeBatch(at position: UInt64) -> RangeBatch {
        let settled = granule?.start ?? (position - position % granularity)
        return batches.take(upTo: settled)
    }

    /// Closes the last batch, when everything was given.
    mutating func takeLastBatch() -> RangeBatch {
        closeGranule()
        return batches.takeLast()
    }
}

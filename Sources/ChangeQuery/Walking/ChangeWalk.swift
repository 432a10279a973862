internal import DiskImages

/// Finds, in ascending order, what a plan asks for: the ranges that changed, or those that hold data.
///
/// The rules ("What counts as changed in a differencing chain", `Docs/QueryRules.md`): the topmost layer above the baseline
/// that has a sector decides; a zero block is left out only where the baseline's own view of the sector is a zero block as
/// well, because a new differencing disk inherits its parent's block states.
struct ChangeWalk {
    /// What a sector without a bit means to the answer.
    private enum Rest {
        case nothing, data, zero, zeroUnlessInherited
    }

    private var layers: LayerStack
    private var baseline: LayerStack
    private let basis: Plan.Basis
    private let sector: UInt64
    /// Where the baseline ends: what lies above did not exist then, so that it changed even where no layer has it.
    private let floor: UInt64
    /// A bit for each sector of the run under way that changed to zero.
    private var zero = [UInt64](repeating: 0, count: SectorMask.capacity / 64)
    /// As `zero`, for data.
    private var data = [UInt64](repeating: 0, count: SectorMask.capacity / 64)

    init(_ plan: Plan, limits: BatchLimits) {
        layers = LayerStack(plan.layers, sector: plan.sector, maskSectors: limits.maskSectors)
        baseline = LayerStack(plan.baseline, sector: plan.sector, maskSectors: limits.maskSectors)
        basis = plan.basis
        sector = plan.sector
        floor = plan.baseline.first?.description.virtualSize ?? .max
    }

    /// Gives `sink` the ranges from `start` on, up to a point that is returned: above `start`, at or below `limit`.
    mutating func step(from start: UInt64, limit: UInt64, into sink: inout GranuleWidener) throws(QueryError) -> UInt64
    {
        let stripe = try layers.stripe(at: start, limit: start < floor ? min(limit, floor) : limit)
        let end = stripe.end
        switch meaning(of: stripe.rest, at: start) {
        case .data:
            sink.add(from: start, to: end, kind: .data)
        case .nothing:
            if stripe.hasData { sink.add(runsOf: layers.data.span, from: start, to: end, sector: sector) }
        case .zero:
            if stripe.hasData {
                addZeroes(from: start, to: end, into: &sink) { _, data in ~data }
            } else {
                sink.add(from: start, to: end, kind: .zero)
            }
        case .zeroUnlessInherited:
            return try stepOverZeroes(from: start, to: end, hasData: stripe.hasData, into: &sink)
        }
        return end
    }

    private func meaning(of rest: SectorContent, at start: UInt64) -> Rest {
        switch (basis, rest) {
        case (_, .data): .data
        case (.allocated, _): .nothing
        case (.changes, .absent): start >= floor ? .zero : .nothing
        case (.changes, .unmapped): .zero
        case (.changes, .zero): .zeroUnlessInherited
        }
    }

    /// A run whose sectors without a bit are in zero blocks: it is asked of the baseline, piece by piece, whether they
    /// were so before. It ends with the first of the baseline's own stripes.
    private mutating func stepOverZeroes(
        from start: UInt64,
        to limit: UInt64,
        hasData: Bool,
        into sink: inout GranuleWidener
    ) throws(QueryError) -> UInt64 {
        let before = try baseline.stripe(at: start, limit: limit)
        let end = before.end
        switch (before.rest, before.hasData) {
        case (.zero, false):
            if hasData { sink.add(runsOf: layers.data.span, from: start, to: end, sector: sector) }
        case (.zero, true):
            let old = baseline.data
            if hasData {
                addZeroes(from: start, to: end, into: &sink) { index, data in ~data & old[index] }
            } else {
                for index in 0..<Self.words(from: start, to: end, sector: sector) { data[index] = 0 }
                for index in 0..<Self.words(from: start, to: end, sector: sector) { zero[index] = old[index] }
                sink.add(data: data.span, zero: zero.span, from: start, to: end, sector: sector)
            }
        default:
            if hasData {
                addZeroes(from: start, to: end, into: &sink) { _, data in ~data }
            } else {
                sink.add(from: start, to: end, kind: .zero)
            }
        }
        return end
    }

    /// Gives `sink` the data of the stripe under way, and zeroes where `zeroes` says, word by word.
    private mutating func addZeroes(
        from start: UInt64,
        to end: UInt64,
        into sink: inout GranuleWidener,
        zeroes: (_ index: Int, _ data: UInt64) -> UInt64
    ) {
        for index in 0..<Self.words(from: start, to: end, sector: sector) {
            zero[index] = zeroes(index, layers.data[index])
        }
        sink.add(data: layers.data.span, zero: zero.span, from: start, to: end, sector: sector)
    }

    private static func words(from start: UInt64, to end: UInt64, sector: UInt64) -> Int {
        Int(((end - start + sector - 1) / sector + 63) / 64)
    }
}

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
        layers = LayerStack(plan.span.maps, sector: plan.sector, maskSectors: limits.maskSectors)
        baseline = LayerStack(plan.span.baseline, sector: plan.sector, maskSectors: limits.maskSectors)
        basis = plan.basis
        sector = plan.sector
        floor = plan.span.floor
    }

    /// Gives `sink` the ranges from `start` on, up to a point that is returned: above `start`, at or below `limit`.
    mutating func step(from start: UInt64, limit: UInt64, into sink: inout GranuleWidener) throws(QueryError) -> UInt64
    {
        let stripe = try layers.stripe(at: start, limit: start < floor ? min(limit, floor) : limit)
        let end = stripe.end
        switch meaning(of: stripe, at: start) {
        case .data:
            sink.add(from: start, to: end, kind: .data)
        case .nothing:
            if stripe.hasZeroes, basis == .changes {
                sink.add(data: layers.data.span, zero: layers.zeroes.span, from: start, to: end, sector: sector)
            } else if stripe.hasData {
                sink.add(runsOf: layers.data.span, from: start, to: end, sector: sector)
            }
        case .zero:
            if stripe.hasData {
                addZeroes(of: stripe, from: start, into: &sink) { _ in .max }
            } else {
                sink.add(from: start, to: end, kind: .zero)
            }
        case .zeroUnlessInherited:
            return try stepOverZeroes(of: stripe, from: start, into: &sink)
        }
        return end
    }

    private func meaning(of stripe: LayerStack.Stripe, at start: UInt64) -> Rest {
        switch (basis, stripe.rest) {
        // The bits then tell of every sector what it is.
        case (_, .data): stripe.hasData ? .nothing : .data
        case (.allocated, _), (.whole, _): .nothing
        case (.changes, .absent): start >= floor ? .zero : .nothing
        case (.changes, .unmapped): .zero
        case (.changes, .zero): .zeroUnlessInherited
        }
    }

    /// A run whose sectors without a bit are in zero blocks: it is asked of the baseline, piece by piece, whether they
    /// were so before. It ends with the first of the baseline's own stripes.
    private mutating func stepOverZeroes(
        of stripe: LayerStack.Stripe,
        from start: UInt64,
        into sink: inout GranuleWidener
    ) throws(QueryError) -> UInt64 {
        let before = try baseline.stripe(at: start, limit: stripe.end)
        var stripe = stripe
        stripe.end = before.end
        guard before.rest == .zero else {
            if stripe.hasData {
                addZeroes(of: stripe, from: start, into: &sink) { _ in .max }
            } else {
                sink.add(from: start, to: stripe.end, kind: .zero)
            }
            return stripe.end
        }
        if before.hasData {
            let data = baseline.data
            let zeroes = baseline.zeroes
            addZeroes(of: stripe, from: start, into: &sink) { data[$0] | (before.hasZeroes ? zeroes[$0] : 0) }
        } else if stripe.hasData {
            addZeroes(of: stripe, from: start, into: &sink) { _ in 0 }
        }
        return stripe.end
    }

    /// Gives `sink` what the bits of the stripe say, and zeroes where it has no bit and `changed` says so, word by word.
    private mutating func addZeroes(
        of stripe: LayerStack.Stripe,
        from start: UInt64,
        into sink: inout GranuleWidener,
        where changed: (_ index: Int) -> UInt64
    ) {
        for index in 0..<Int(((stripe.end - start + sector - 1) / sector + 63) / 64) {
            let unmapped = stripe.hasZeroes ? layers.zeroes[index] : 0
            data[index] = stripe.hasData ? layers.data[index] : 0
            zero[index] = unmapped | ~(data[index] | unmapped) & changed(index)
        }
        sink.add(data: data.span, zero: zero.span, from: start, to: stripe.end, sector: sector)
    }
}

internal import DiskImages

/// Maps laid on top of each other: at every sector the topmost that is not absent decides.
///
/// The stack is walked in ascending order, stripe by stripe. A stripe is the longest run that no map interrupts, and it
/// has one of two shapes: all of it is alike; or some of its sectors hold data or were unmapped, told by a bit each, and the
/// others are alike. Nothing is kept but one extent and one mask of bits for each map.
struct LayerStack {
    struct Stripe {
        var end: UInt64
        /// What the sectors are that have a bit neither in `LayerStack.data` nor in `LayerStack.zeroes`.
        var rest: SectorContent
        /// Whether `LayerStack.data` says of some sectors that they hold data. Otherwise it is not to be read.
        var hasData = false
        /// Whether `LayerStack.zeroes` says of some sectors that they are unmapped. Otherwise it is not to be read. Only
        /// where `hasData` is set as well.
        var hasZeroes = false
    }

    private var layers: [LayerCursor]
    private let sector: UInt64
    /// In bytes: the longest stripe that is told apart by bits.
    private let longestMask: UInt64
    /// The layers that the stripe under way takes bits from, topmost first.
    private var contributing: [Int] = []
    /// A bit for each sector of the stripe under way that holds data.
    private(set) var data = [UInt64](repeating: 0, count: SectorMask.capacity / 64)
    /// As `data`, for sectors that are unmapped.
    private(set) var zeroes = [UInt64](repeating: 0, count: SectorMask.capacity / 64)

    /// A stack of maps, topmost first, all with sectors of `sector` bytes; a stripe tells at most `maskSectors` of them apart.
    init(_ maps: [any SectorMap], sector: UInt64, maskSectors: Int) {
        layers = maps.map(LayerCursor.init)
        self.sector = sector
        longestMask = UInt64(maskSectors) * sector
    }

    /// The stripe that starts at `start` and ends at or before `limit`, which is above `start`.
    mutating func stripe(at start: UInt64, limit: UInt64) throws(QueryError) -> Stripe {
        var stripe = Stripe(end: limit, rest: .absent)
        contributing.removeAll(keepingCapacity: true)
        for index in layers.indices {
            let view = try layers[index].view(at: start, limit: stripe.end)
            stripe.end = min(stripe.end, view.end)
            switch view.content {
            case .absent?: continue
            case let content?:
                stripe.rest = content
                return finish(stripe, from: start)
            case nil:
                contributing.append(index)
                stripe.hasData = true
                if layers[index].hasZeroes { stripe.hasZeroes = true }
            }
        }
        return finish(stripe, from: start)
    }

    private mutating func finish(_ stripe: Stripe, from start: UInt64) -> Stripe {
        var stripe = stripe
        // Where everything below is data, the data above says nothing new.
        if stripe.rest == .data, !stripe.hasZeroes { stripe.hasData = false }
        guard stripe.hasData else { return stripe }
        stripe.end = min(stripe.end, start + longestMask)
        let count = Int((stripe.end - start + sector - 1) / sector)
        let words = (count + 63) / 64
        if stripe.hasZeroes {
            for index in 0..<words { data[index] = 0 }
            for index in 0..<words { zeroes[index] = 0 }
            for index in contributing {
                layers[index].unite(into: &data, zeroes: &zeroes, from: start, count: count)
            }
            if stripe.rest == .data {
                for index in 0..<words { data[index] = ~zeroes[index] }
            }
        } else {
            for (position, index) in contributing.enumerated() {
                if position == 0 {
                    layers[index].copy(into: &data, from: start, count: count)
                } else {
                    layers[index].unite(into: &data, from: start, count: count)
                }
            }
        }
        // What the masks say of sectors behind the stripe belongs to the next.
        if count % 64 != 0 {
            let kept: UInt64 = (1 << UInt64(count % 64)) - 1
            data[words - 1] &= kept
            if stripe.hasZeroes { zeroes[words - 1] &= kept }
        }
        return stripe
    }
}

internal import DiskImages

/// Layers laid on top of each other: at every sector the topmost that is not absent decides.
///
/// The stack is walked in ascending order, stripe by stripe. A stripe is the longest run that no layer interrupts, and it
/// has one of two shapes: all of it is alike; or some of its sectors hold data, told by a bit each, and the others are
/// alike. Nothing is kept but one extent and one mask of bits for each layer.
struct LayerStack {
    struct Stripe {
        var end: UInt64
        /// What the sectors are that have no bit in `LayerStack.data`.
        var rest: SectorContent
        /// Whether `LayerStack.data` says of some sectors that they hold data. Otherwise it is not to be read.
        var hasData: Bool
    }

    private var layers: [LayerCursor]
    private let sector: UInt64
    /// In bytes: the longest stripe that is told apart by bits.
    private let longestMask: UInt64
    /// The layers that the stripe under way takes bits from.
    private var contributing: [Int] = []
    /// A bit for each sector of the stripe under way.
    private(set) var data = [UInt64](repeating: 0, count: SectorMask.capacity / 64)

    /// A stack of layers, topmost first, all with sectors of `sector` bytes; a stripe tells at most `maskSectors` of them apart.
    init(_ layers: [any DiskImage], sector: UInt64, maskSectors: Int) {
        self.layers = layers.map(LayerCursor.init)
        self.sector = sector
        longestMask = UInt64(maskSectors) * sector
    }

    /// The stripe that starts at `start` and ends at or before `limit`, which is above `start`.
    mutating func stripe(at start: UInt64, limit: UInt64) throws(QueryError) -> Stripe {
        var stripe = Stripe(end: limit, rest: .absent, hasData: false)
        contributing.removeAll(keepingCapacity: true)
        for index in layers.indices {
            let view = try layers[index].view(at: start, limit: stripe.end)
            stripe.end = min(stripe.end, view.end)
            switch view.content {
            case .absent?: continue
            case let content?:
                stripe.rest = content
                return finish(stripe, from: start)
            case nil: contributing.append(index)
            }
        }
        return finish(stripe, from: start)
    }

    private mutating func finish(_ stripe: Stripe, from start: UInt64) -> Stripe {
        // Where everything below is data, the bits above say nothing new.
        guard !contributing.isEmpty, stripe.rest != .data else { return stripe }
        var stripe = stripe
        stripe.hasData = true
        stripe.end = min(stripe.end, start + longestMask)
        let count = Int((stripe.end - start + sector - 1) / sector)
        let words = (count + 63) / 64
        for index in 0..<words { data[index] = 0 }
        for index in contributing { layers[index].unite(into: &data, from: start, count: count) }
        if count % 64 != 0 { data[words - 1] &= (1 << UInt64(count % 64)) - 1 }
        return stripe
    }
}

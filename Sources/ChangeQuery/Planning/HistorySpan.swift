internal import DiskImages

/// What lies between two points of a disk's history: the maps to walk over, and the state before them.
struct HistorySpan {
    /// What was written between the two points, topmost first.
    let maps: [any SectorMap]
    /// The state at the older point, topmost first. Empty where it is not known.
    let baseline: [any SectorMap]
    /// The size of the disk at the newer point, in bytes.
    let size: UInt64
    /// Where the disk ended at the older point, in bytes: what lies above was added since.
    let floor: UInt64
    /// In bytes.
    let sector: UInt64
    /// The smallest piece, in bytes, that the maps tell apart.
    let granularity: UInt64
    /// The format of the layer that has the newer point.
    let format: ImageDescription.Format
    /// The layer that has the newer point, counted from the leaf: the answer does not rest on those above it.
    let firstLayer: Int

    /// Everything that a disk holds at the point `top` or, where that is nil, now.
    ///
    /// - Throws: what stands in the way of using the point.
    init(allocationOf chain: DiskChain, at top: HistoryPoint? = nil) throws(QueryError) {
        let moment = try Moment(target: top)
        guard moment.layer < chain.layers.count else { throw Self.noLayer }
        let state = try moment.state(in: chain.layers)
        let maps = [state] + chain.layers[(moment.layer + 1)...].map { $0 as any SectorMap }
        try self.init(of: chain, from: moment.layer, state: state, maps: maps, baseline: [], floor: .max)
    }

    /// All of a disk at the point `top` or, where that is nil, now, whatever it holds.
    ///
    /// - Throws: what stands in the way of using the point.
    init(wholeOf chain: DiskChain, at top: HistoryPoint?) throws(QueryError) {
        let moment = try Moment(target: top)
        guard moment.layer < chain.layers.count else { throw Self.noLayer }
        let state = try moment.state(in: chain.layers)
        let everything = EverythingMap(size: state.size, sectorSize: state.sectorSize)
        try self.init(of: chain, from: moment.layer, state: state, maps: [everything], baseline: [], floor: .max)
    }

    /// What was written since the point `bottom`, up to `top` or, where that is nil, up to now.
    ///
    /// - Throws: what stands in the way of using either point; `invalidParameter` where `top` is the older of them.
    init(since bottom: HistoryPoint, upTo top: HistoryPoint?, in chain: DiskChain) throws(QueryError) {
        let layers = chain.layers
        let newer = try Moment(target: top)
        let older = try Moment(baseline: bottom)
        guard older.layer < layers.count, newer.layer <= older.layer else { throw Self.misordered(bottom, top) }
        let state = try newer.state(in: layers)
        var maps: [any SectorMap] = []
        if newer.layer < older.layer {
            maps = [state] + layers[(newer.layer + 1)..<older.layer].map { $0 }
            if let point = older.point {
                maps.append(try Self.changes(in: layers[older.layer], since: point, upTo: nil))
            }
        } else if newer != older {
            // Both points are in one layer: the newer is the layer as it is, or a later one of its snapshots.
            let layer = layers[newer.layer]
            guard let point = older.point, older.isBefore(newer, in: layer) else { throw Self.misordered(bottom, top) }
            maps = [try Self.changes(in: layer, since: point, upTo: newer.point)]
        }
        // What a bitmap or a lost snapshot started from is not known.
        let below = layers[(older.layer + 1)...].map { $0 as any SectorMap }
        let before = older.isKnown ? [try older.state(in: layers)] + below : []
        let floor =
            older.point == nil ? layers[older.layer].size : older.isKnown ? before.first?.size ?? .max : .max
        try self.init(of: chain, from: newer.layer, state: state, maps: maps, baseline: before, floor: floor)
    }

    private init(
        of chain: DiskChain,
        from firstLayer: Int,
        state: (any SectorMap)?,
        maps: [any SectorMap],
        baseline: [any SectorMap],
        floor: UInt64
    ) throws(QueryError) {
        guard let state, firstLayer < chain.layers.count else {
            throw Self.noLayer
        }
        self.firstLayer = firstLayer
        self.maps = maps
        self.baseline = baseline
        self.floor = floor
        size = state.size
        sector = UInt64(state.sectorSize)
        granularity = maps.map(\.granularity).min() ?? sector
        format = chain.layers[firstLayer].description.format
    }

    private static var noLayer: QueryError { QueryError(.invalidParameter, "A disk has at least one layer") }

    private static func changes(
        in layer: any DiskImage,
        since point: RecordedPoint,
        upTo snapshot: RecordedPoint?
    ) throws(QueryError) -> any SectorMap {
        do throws(ImageError) {
            return try layer.changes(since: point, upTo: snapshot)
        } catch {
            throw QueryError(error)
        }
    }

    private static func misordered(_ bottom: HistoryPoint, _ top: HistoryPoint?) -> QueryError {
        QueryError(.invalidParameter, "The target \(top?.id ?? "") is older than the baseline \(bottom.id)")
    }
}

/// A point of the history by its place: the state of a layer, or a point that the layer has recorded.
private struct Moment: Equatable {
    let layer: Int
    let point: RecordedPoint?
    /// Whether the state is lost of which only a bound is known: it lies above the layer's own.
    let isLost: Bool

    /// Whether the state can be walked over.
    var isKnown: Bool { !isLost && point?.kind != .bitmap }

    /// The place of a target; of the leaf where there is none.
    init(target: HistoryPoint?) throws(QueryError) {
        isLost = false
        switch target?.place {
        case nil: (layer, point) = (0, nil)
        case .layer(let index): (layer, point) = (index, nil)
        case .recorded(let recorded, let index) where recorded.kind == .snapshot: (layer, point) = (index, recorded)
        case .recorded:
            throw QueryError(
                .invalidParameter,
                "\(target?.id ?? "") records what was written and no state: it can be a baseline and not a target"
            )
        case .above, .nowhere:
            throw QueryError(
                .baselineUnknown,
                "The chain no longer has the state of \(target?.id ?? ""): it cannot be a target"
            )
        }
    }

    init(baseline: HistoryPoint) throws(QueryError) {
        if let problem = baseline.problem { throw problem }
        switch baseline.place {
        case .layer(let index): (layer, point, isLost) = (index, nil, false)
        case .recorded(let recorded, let index): (layer, point, isLost) = (index, recorded, false)
        case .above(let index): (layer, point, isLost) = (index, nil, true)
        // A point without a place has a problem, which was thrown.
        case .nowhere: (layer, point, isLost) = (.max, nil, true)
        }
    }

    func state(in layers: [any DiskImage]) throws(QueryError) -> any SectorMap {
        guard let point else { return layers[layer] }
        do throws(ImageError) {
            return try layers[layer].state(at: point)
        } catch {
            throw QueryError(error)
        }
    }

    /// Whether this point of `image` is older than another, which is a snapshot or the image as it is.
    func isBefore(_ other: Moment, in image: any DiskImage) -> Bool {
        guard let later = other.point else { return true }
        // What a bitmap tells goes on to the present, and cannot be cut off at a snapshot.
        guard let point, point.kind == .snapshot else { return false }
        let points = image.recordedPoints
        guard let own = points.firstIndex(of: point), let others = points.firstIndex(of: later) else { return false }
        return own < others
    }
}

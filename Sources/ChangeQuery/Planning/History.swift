internal import DiskImages
internal import FoundationEssentials

/// All points of a disk's history that an id can name: the layers of its chain, the snapshots of the VHD Set it was named by,
/// and what its files have recorded of their own past.
struct History {
    /// The nearest first. The first is the leaf's own, or a snapshot's that has the same state.
    let points: [HistoryPoint]

    /// Where in `points` those are that an id names. A file may have recorded thousands.
    private let positions: [BaselineID: [Int]]

    init(of chain: DiskChain) {
        var points: [HistoryPoint] = []
        for (index, layer) in chain.layers.enumerated() {
            points += chain.snapshots.filter { $0.place == .layer(index) }.map(Self.point)
            let isBacking = index > 0 && chain.layers[index - 1].description.format == .qcow2
            if let point = Self.point(layer, at: index, isBacking: isBacking) { points.append(point) }
            points += chain.snapshots.filter { $0.place == .above(index) }.map(Self.point)
            points += layer.recordedPoints.reversed().map { Self.point($0, in: layer, at: index) }
        }
        points += chain.snapshots.filter { $0.place == .nowhere }.map(Self.point)
        self.points = points
        var positions: [BaselineID: [Int]] = [:]
        for (position, point) in points.enumerated() {
            for name in point.names { positions[name, default: []].append(position) }
        }
        self.positions = positions
    }

    /// The point that `text` names.
    ///
    /// - Throws: `baselineMalformed`, `baselineUnknown`, `baselineAmbiguous`.
    func point(named text: String) throws(QueryError) -> HistoryPoint {
        let id = try BaselineID(text)
        let found = (positions[id] ?? []).map { points[$0] }
        guard let first = found.first else {
            throw QueryError(.baselineUnknown, "Nothing of this disk has the id \(text): take a full backup")
        }
        guard found.allSatisfy({ $0.place == first.place && first.place != .nowhere }) || found.count == 1 else {
            throw QueryError(.baselineAmbiguous, "More than one thing of this disk has the id \(text)")
        }
        return first
    }

    private static func point(_ layer: any DiskImage, at index: Int, isBacking: Bool) -> HistoryPoint? {
        let path = layer.file.name
        var names: Set<BaselineID> = []
        if let identifier = layer.description.identifier { names.insert(.guid(identifier)) }
        if isBacking || layer.description.format == .qcow2 { names.insert(.backing(ExactName(path))) }
        guard !names.isEmpty else { return nil }
        let identifier = layer.description.identifier
        return HistoryPoint(
            kind: identifier == nil ? .backing : .layer,
            id: identifier?.description ?? "backing:\(path)",
            place: .layer(index),
            path: path,
            created: "",
            names: names,
            granularity: nil
        )
    }

    private static func point(_ snapshot: ChainSnapshot) -> HistoryPoint {
        HistoryPoint(
            kind: .snapshot,
            id: snapshot.id.description,
            place: place(of: snapshot),
            path: snapshot.path,
            created: snapshot.created,
            names: [.guid(snapshot.id)],
            granularity: nil
        )
    }

    private static func place(of snapshot: ChainSnapshot) -> HistoryPoint.Place {
        switch snapshot.place {
        case .layer(let index): .layer(index)
        case .above(let index): .above(index)
        case .nowhere: .nowhere
        }
    }

    private static func point(_ point: RecordedPoint, in layer: any DiskImage, at index: Int) -> HistoryPoint {
        let (id, names): (String, Set<BaselineID>) =
            switch point.kind {
            case .bitmap: ("bitmap:\(point.id)", [.bitmap(ExactName(point.id))])
            case .snapshot:
                ("snapshot:\(point.id)", [.snapshot(ExactName(point.id)), .snapshot(ExactName(point.name))])
            }
        return HistoryPoint(
            kind: point.kind == .bitmap ? .bitmap : .snapshot,
            id: id,
            place: .recorded(point, layer: index),
            path: layer.file.name,
            created: point.created.map { Date(timeIntervalSince1970: TimeInterval($0)).ISO8601Format() } ?? "",
            names: names,
            granularity: point.granularity
        )
    }
}

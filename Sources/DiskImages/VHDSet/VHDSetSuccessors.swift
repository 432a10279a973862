/// Which snapshots that are layers of the chain were taken on top of others, and where they are.
///
/// It is asked once for each snapshot, in time that does not depend on how many there are.
struct VHDSetSuccessors {
    /// The layers, counted from the leaf, of what was taken later: what lies above them all is not enough for an answer.
    struct Layers {
        /// The lowest that was taken directly on top.
        var direct: Int?
        /// The lowest of all.
        var any: Int?

        fileprivate mutating func unite(_ other: Layers) {
            direct = [direct, other.direct].compactMap { $0 }.max()
            any = [any, other.any].compactMap { $0 }.max()
        }
    }

    private var byIdentifier: [GUID: Layers] = [:]
    private var byPath = CataloguePathIndex()
    /// As `byPath`, of those snapshots alone that have recorded no identities.
    private var byPathAlone = CataloguePathIndex()

    /// Notes the parents of a snapshot whose own file is the layer `layer`.
    mutating func note(_ snapshot: VHDSetSnapshot, at layer: Int) {
        for (generation, identifier) in snapshot.parentIdentifiers.enumerated() {
            guard let identifier else { continue }
            byIdentifier[identifier, default: Layers()].unite(Self.layers(layer, generation))
        }
        for (generation, path) in snapshot.parentPaths.enumerated() {
            byPath.unite(path, Self.layers(layer, generation))
            if snapshot.parentIdentifiers.isEmpty { byPathAlone.unite(path, Self.layers(layer, generation)) }
        }
    }

    /// What was taken later than `snapshot`: told by identities where both sides have recorded them, else by paths.
    func of(_ snapshot: VHDSetSnapshot) -> Layers {
        var found = Layers()
        if let identifier = snapshot.identifier, let layers = byIdentifier[identifier] { found.unite(layers) }
        if let path = snapshot.snapshotPath {
            found.unite((snapshot.identifier == nil ? byPath : byPathAlone).layers(of: path))
        }
        return found
    }

    private static func layers(_ layer: Int, _ generation: Int) -> Layers {
        Layers(direct: generation == 0 ? layer : nil, any: layer)
    }
}

/// Layers by the paths of files, whatever their spelling. The rules are those of `CataloguePathSet`.
private struct CataloguePathIndex {
    private var exact: [ExactName: VHDSetSuccessors.Layers] = [:]
    private var folded: [ExactName: VHDSetSuccessors.Layers] = [:]
    private var foldedOfWindows: [ExactName: VHDSetSuccessors.Layers] = [:]

    mutating func unite(_ path: CataloguePath, _ layers: VHDSetSuccessors.Layers) {
        let lower = ExactName(path.location.lowercased())
        exact[ExactName(path.location), default: .init()].unite(layers)
        folded[lower, default: .init()].unite(layers)
        if path.isWindows { foldedOfWindows[lower, default: .init()].unite(layers) }
    }

    func layers(of path: CataloguePath) -> VHDSetSuccessors.Layers {
        var found = exact[ExactName(path.location)] ?? .init()
        let lower = ExactName(path.location.lowercased())
        found.unite((path.isWindows ? folded : foldedOfWindows)[lower] ?? .init())
        return found
    }
}

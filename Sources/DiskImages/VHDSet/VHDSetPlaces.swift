/// What the place of a snapshot in a chain depends on, of one layer.
struct VHDSetLayer {
    var name: String
    /// What changes when somebody writes to the file: a VHDX's DataWriteGuid. Other formats have nothing like it.
    var identifier: GUID?
    /// In nanoseconds since 1970.
    var modificationTime: Int64

    init(name: String, identifier: GUID?, modificationTime: Int64) {
        self.name = name
        self.identifier = identifier
        self.modificationTime = modificationTime
    }

    init(_ image: any DiskImage) {
        self.init(
            name: image.file.name,
            identifier: image.description.format == .vhdx ? image.description.identifier : nil,
            modificationTime: image.file.modificationTime
        )
    }
}

/// Where a chain has the states of a set's snapshots, and what proves it.
///
/// A snapshot whose own file is a layer has its state there. Where that file is gone, or was written to since, the data has
/// gone into a neighbour. What was written since the snapshot then still lies above a layer P, if two things are proven:
///
/// - **The disk comes from the snapshot.** Else its own data, which the disk never had or lost when it was taken back to an
///   older snapshot, would be missing from the answer. Proof: a later snapshot that is a layer of the chain names the
///   snapshot's file, by identity or else by path, among its parents; or the catalogue vouches that no snapshot was ever
///   applied.
/// - **Nothing that was written since lies in P or below.** A merge could have moved it there. Proof: P lies directly below
///   a snapshot that was taken directly on top of this one; or P is one of this snapshot's own parents and still has the
///   identity it had then, or was not modified after the snapshot was taken.
struct VHDSetPlaces {
    let catalogue: VHDSetCatalogue
    /// The chain, leaf first.
    let layers: [VHDSetLayer]
    /// Whether the leaf itself is a snapshot's frozen file.
    let isFrozen: Bool

    private typealias Files = [CataloguePath: VHDSetFiles.Place]

    /// The snapshots, newest first: by their place in the chain, and those without one at the end by their time.
    func snapshots(_ files: [CataloguePath: VHDSetFiles.Place]) -> [ChainSnapshot] {
        let own = catalogue.snapshots.map { ownLayer(of: $0, files) }
        var successors = VHDSetSuccessors()
        for (snapshot, layer) in zip(catalogue.snapshots, own) {
            if let layer { successors.note(snapshot, at: layer) }
        }
        var placed: [(snapshot: ChainSnapshot, order: Int, time: Int64)] = []
        for (index, snapshot) in catalogue.snapshots.enumerated() {
            let result = place(of: snapshot, own: own[index], successors, files)
            let order =
                switch result.place {
                case .above(let layer): 2 * layer
                case .layer(let layer): 2 * layer + 1
                case .nowhere: Int.max
                }
            placed.append((result, order, snapshot.created?.nanoseconds ?? .min))
        }
        return placed.sorted { ($0.order, $1.time) < ($1.order, $0.time) }.map(\.snapshot)
    }

    /// The layer that is the snapshot's own frozen file; nil where there is none.
    private func ownLayer(of snapshot: VHDSetSnapshot, _ files: Files) -> Int? {
        guard let path = snapshot.snapshotPath, case .layer(let index)? = files[path] else { return nil }
        if let identifier = snapshot.identifier { return layers[index].identifier == identifier ? index : nil }
        // The file that is written to now holds more than any snapshot.
        return index == 0 && !isFrozen ? nil : index
    }

    private func place(
        of snapshot: VHDSetSnapshot,
        own: Int?,
        _ successors: VHDSetSuccessors,
        _ files: Files
    ) -> ChainSnapshot {
        var result = ChainSnapshot(
            id: snapshot.id,
            place: .nowhere,
            path: snapshot.snapshotPath?.location ?? "",
            created: snapshot.created?.text ?? ""
        )
        if let own {
            result.place = .layer(own)
            result.path = layers[own].name
        } else if let bound = bound(of: snapshot, successors, files) {
            result.place = .above(bound)
            result.explanation =
                "The snapshot's own file is gone; what was written since lies above \(layers[bound].name)."
        } else {
            result.explanation = problem(of: snapshot, files)
        }
        return result
    }

    /// The nearest layer above which all lies that was written since a snapshot without a layer of its own.
    private func bound(of snapshot: VHDSetSnapshot, _ successors: VHDSetSuccessors, _ files: Files) -> Int? {
        let later = successors.of(snapshot)
        var bounds: [Int] = []
        if let direct = later.direct { bounds.append(direct + 1) }
        if let any = later.any, let parent = provenParent(of: snapshot, below: any, files) { bounds.append(parent) }
        if bounds.isEmpty, catalogue.noSnapshotApplied, snapshot.snapshotPath.flatMap({ files[$0] }) != .elsewhere {
            bounds += [provenParent(of: snapshot, below: -1, files)].compactMap { $0 }
        }
        return bounds.filter { $0 < layers.count }.min()
    }

    /// The nearest of the snapshot's parents that is a layer below `layer` and was not written to since.
    private func provenParent(of snapshot: VHDSetSnapshot, below layer: Int, _ files: Files) -> Int? {
        for (index, path) in snapshot.parentPaths.enumerated() {
            guard case .layer(let parent)? = files[path], parent > layer else { continue }
            if let identifier = snapshot.parentIdentifier(at: index) {
                if layers[parent].identifier == identifier { return parent }
            } else if let created = snapshot.created, layers[parent].modificationTime <= created.earliest {
                return parent
            }
        }
        return nil
    }

    private func problem(of snapshot: VHDSetSnapshot, _ files: Files) -> String {
        guard let path = snapshot.snapshotPath else {
            return "The snapshot is kept for reference only, and nothing proves what was written since."
        }
        return switch files[path] {
        case .layer: "The snapshot's file was written to since, and nothing proves what was."
        case .elsewhere: "The snapshot's file is not part of the disk's chain."
        case .missing, nil: "The snapshot's file is not there, and nothing proves what was written since."
        }
    }
}

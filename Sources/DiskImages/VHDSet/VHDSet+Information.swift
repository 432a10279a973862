extension VHDSet {
    /// Opens the set whose catalogue is named.
    ///
    /// - Throws: `invalidParameter` where the name is not that of a catalogue; `unsupported` for Hyper-V's own files; and what
    ///   opening a catalogue and its chain throws.
    public static func open(_ name: String, in files: some ImageFiles) throws(ImageError) -> VHDSet {
        let file = try files.open(name)
        guard NameClaim.format(of: file.name) == .vhdset else {
            // Says of Hyper-V's own files what to do instead.
            if NameClaim.isVHDSet(file.name) { _ = try file.openImage(in: files) }
            throw file.error(.invalidParameter, "This is no catalogue of a VHD Set, whose name ends in .vhdset.json.")
        }
        return try VHDSet(file, in: files)
    }

    /// The snapshots as the catalogue has them, the newest first.
    public var snapshots: [VHDSetSnapshot] {
        let order = chain?.snapshots.map(\.id) ?? catalogue.snapshots.map(\.id)
        let byID = Dictionary(catalogue.snapshots.map { ($0.id, $0) }) { first, _ in first }
        return order.compactMap { byID[$0] }
    }

    /// What a file of the catalogue is called here; nil where it is not there or may not be opened.
    public func name(of path: CataloguePath, in files: some ImageFiles) -> String? {
        guard let found = try? files.open(path.location, besides: file) else { return nil }
        // A layer of the chain has the name that all answers use.
        return chain?.layers.first { $0.file.identity == found.identity }?.file.name ?? found.name
    }

    /// The files below a snapshot's own, the immediate parent first: as they are called here, or as the catalogue has them where
    /// they are not there.
    public func parentNames(of snapshot: VHDSetSnapshot, in files: some ImageFiles) -> [String] {
        snapshot.parentPaths.map { name(of: $0, in: files) ?? $0.text }
    }

    /// All files of the set that are there, each once: those of the chain, the leaf first, then the others.
    public func paths(in files: some ImageFiles) -> [String] {
        var paths = chain?.layers.map(\.file.name) ?? []
        var seen = Set(chain?.layers.map(\.file.identity) ?? [])
        let named = catalogue.snapshots.flatMap { [$0.snapshotPath].compactMap(\.self) + $0.parentPaths }
        for path in named + catalogue.allPaths {
            guard !NameClaim.isVHDSet(path.location), let found = try? files.open(path.location, besides: file),
                seen.insert(found.identity).inserted
            else { continue }
            paths.append(found.name)
        }
        return paths
    }
}

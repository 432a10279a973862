/// Finds the file of a set that the virtual machine writes to.
///
/// The rule, of which the first line that applies decides:
///
/// 1. The catalogue says it (`LeafPath`).
/// 2. One path of AllPaths is neither a snapshot's own file, nor a parent of one, nor the set's own file.
/// 3. Of several such files that are there, one is no other's parent.
/// 4. There is no such file, and so the set rests: of the snapshots' own files the one that is no other's parent; of
///    several, that of the newest snapshot.
struct VHDSetLeaf {
    /// The chain of the file that was found.
    struct Found {
        var layers: [any DiskImage]
        /// Whether it is the frozen file of a snapshot, for want of a live one.
        var isFrozen: Bool
    }

    /// The most files that are opened to compare them.
    static let maximumCandidateCount = 64

    let catalogue: VHDSetCatalogue
    let file: ImageFile

    func find(in files: some ImageFiles) throws(ImageError) -> Found {
        if let leaf = catalogue.leafPath { return Found(layers: try layers(of: leaf, in: files), isFrozen: false) }
        let live = liveCandidates
        if !live.isEmpty {
            let tops = try tops(of: live, in: files)
            guard tops.count == 1, let top = tops.first else { throw ambiguous(tops) }
            return Found(layers: top.layers, isFrozen: false)
        }
        let tops = try tops(of: distinct(catalogue.snapshots.compactMap(\.snapshotPath)), in: files)
        if tops.count == 1, let top = tops.first { return Found(layers: top.layers, isFrozen: true) }
        guard let newest = newest(of: tops) else { throw ambiguous(tops) }
        return Found(layers: newest.layers, isFrozen: true)
    }

    private struct Top {
        var path: CataloguePath
        var layers: [any DiskImage]
    }

    private var liveCandidates: [CataloguePath] {
        var named = CataloguePathSet(catalogue.snapshots.compactMap(\.snapshotPath))
        for snapshot in catalogue.snapshots {
            for path in snapshot.parentPaths { named.insert(path) }
        }
        if let own = CataloguePath(catalogue.path) { named.insert(own) }
        return distinct(catalogue.allPaths).filter { !named.contains($0) && !NameClaim.isVHDSet($0.location) }
    }

    private func distinct(_ paths: [CataloguePath]) -> [CataloguePath] {
        var seen = CataloguePathSet([])
        var result: [CataloguePath] = []
        for path in paths where !seen.contains(path) {
            seen.insert(path)
            result.append(path)
        }
        return result
    }

    /// Those of `candidates` that are no parent of another.
    private func tops(of candidates: [CataloguePath], in files: some ImageFiles) throws(ImageError) -> [Top] {
        guard candidates.count <= Self.maximumCandidateCount else {
            throw file.error(
                .resourceLimit,
                "The catalogue names \(candidates.count) files that may be the live one: add the property LeafPath."
            )
        }
        var tops: [Top] = []
        var seen: Set<ImageFile.Identity> = []
        var parents: Set<ImageFile.Identity> = []
        for path in candidates {
            let found = try layers(of: path, in: files)
            guard let leaf = found.first, seen.insert(leaf.file.identity).inserted else { continue }
            parents.formUnion(found.dropFirst().map(\.file.identity))
            // The layers of a candidate that is already known to be a parent are not kept open.
            tops.append(Top(path: path, layers: found))
            tops.removeAll { $0.layers.first.map { parents.contains($0.file.identity) } ?? true }
        }
        return tops
    }

    private func layers(of path: CataloguePath, in files: some ImageFiles) throws(ImageError) -> [any DiskImage] {
        let image = try files.open(path.location, besides: file).openImage(in: files)
        return try DiskChain.layers(from: image, in: files)
    }

    /// The file whose snapshot is newer than every other's; nil where the catalogue does not tell.
    private func newest(of tops: [Top]) -> Top? {
        var best: (top: Top, time: Int64)?
        var isTied = false
        for top in tops {
            let times = catalogue.snapshots.filter {
                $0.snapshotPath.map { ExactName($0.location) } == ExactName(top.path.location)
            }.map(\.created)
            guard let time = times.first ?? nil, time.hasZone else { return nil }
            if let known = best, known.time >= time.nanoseconds {
                isTied = isTied || known.time == time.nanoseconds
            } else {
                best = (top, time.nanoseconds)
                isTied = false
            }
        }
        return isTied ? nil : best?.top
    }

    private func ambiguous(_ tops: [Top]) -> ImageError {
        let names = tops.prefix(4).map { "\"\($0.path.location)\"" }.joined(separator: ", ")
        return file.corrupt(
            tops.isEmpty
                ? "The catalogue names no file of a disk: add the property LeafPath, the file that is written to."
                : "The catalogue leaves open which of \(names) is written to: add the property LeafPath."
        )
    }
}

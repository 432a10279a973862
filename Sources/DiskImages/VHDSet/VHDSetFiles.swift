/// Where in a chain the files are that a catalogue names.
struct VHDSetFiles {
    /// What a path leads to.
    enum Place: Equatable {
        /// The layer at this index, counted from the leaf: told by the file itself, not by its name.
        case layer(Int)
        /// A file that is no layer of the chain, or that may be there and cannot be looked at.
        case elsewhere
        /// No file.
        case missing
    }

    let file: ImageFile
    let layers: [any DiskImage]

    /// The places of all files of the snapshots and of their parents.
    ///
    /// - Throws: `resourceLimit`, `readFailed`: what says nothing of the file itself.
    func found(
        _ catalogue: VHDSetCatalogue,
        in files: some ImageFiles
    ) throws(ImageError) -> [CataloguePath: Place] {
        var indices: [ImageFile.Identity: Int] = [:]
        for (index, layer) in layers.enumerated() { indices[layer.file.identity] = index }
        var places: [CataloguePath: Place] = [:]
        for snapshot in catalogue.snapshots {
            for path in [snapshot.snapshotPath].compactMap({ $0 }) + snapshot.parentPaths where places[path] == nil {
                do throws(ImageError) {
                    let identity = try files.open(path.location, besides: file).identity
                    places[path] = indices[identity].map(Place.layer) ?? .elsewhere
                } catch {
                    guard error.code != .resourceLimit, error.code != .readFailed else { throw error }
                    places[path] = error.code == .fileNotFound ? .missing : .elsewhere
                }
            }
        }
        return places
    }
}

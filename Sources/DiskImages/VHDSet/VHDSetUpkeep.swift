internal import Glibc

/// Makes catalogues and keeps them up to date.
///
/// A catalogue is replaced as a whole: whoever reads it finds the old document or the new one. While it is changed it is
/// locked, so that of two changes at once one is refused.
public struct VHDSetUpkeep: Sendable {
    /// The catalogue, relative to the process's working directory.
    private let path: String

    public init(_ path: String) {
        self.path = path
    }

    /// Makes a catalogue without snapshots.
    ///
    /// - Parameter disk: the file that is written to, relative to the process's working directory; nil for a set that gets
    ///   its disk later.
    /// - Throws: `alreadyExists`, `invalidParameter` where the name is not that of a catalogue; `unsupported` where the
    ///   disk's files are not VHDX; what opening the disk's chain throws; `writeFailed`.
    public func create(disk: String? = nil) throws(ImageError) {
        guard NameClaim.format(of: path) == .vhdset else {
            throw ImageError(.invalidParameter, "The name of a catalogue ends in .vhdset.json.", path: path)
        }
        try NewImageFile.checkIsFree(path)
        var catalogue = VHDSetCatalogue(path: PathParts.components(of: path).last ?? "")
        if let disk { try setLeaf(disk, of: &catalogue) }
        try FileReplacement.write(catalogue.encoded(), to: path, isNew: true)
    }

    /// Makes `leaf`, relative to the process's working directory, the file that is written to.
    ///
    /// - Throws: `inUse` where the catalogue is being changed by another program; `unsupported`, `writeFailed`; what opening
    ///   the catalogue and the chain throws.
    public func moveLeaf(to leaf: String) throws(ImageError) {
        try change { (catalogue, _) throws(ImageError) in try setLeaf(leaf, of: &catalogue) }
    }

    /// Adds a snapshot whose state is frozen in a layer of the chain, below the file that is written to.
    ///
    /// With it are recorded the layers below and the identities that all these files have now, so that it can be told later
    /// whether one of them was written to.
    ///
    /// - Parameters:
    ///   - id: the snapshot's.
    ///   - layer: the frozen file; by default the parent of the file that is written to.
    ///   - leaf: the file that is written to, if it is not what the catalogue says.
    ///   - created: when the snapshot was taken.
    /// - Throws: as `moveLeaf(to:)`; `alreadyExists` where the set has a snapshot of this id; `invalidParameter` where the
    ///   layer is not below the file that is written to, or there is no such file.
    public func add(
        _ id: GUID,
        layer: String? = nil,
        leaf: String? = nil,
        created: CatalogueTime = .now
    ) throws(ImageError) {
        try change { (catalogue, file) throws(ImageError) in
            guard !catalogue.snapshots.contains(where: { $0.id == id }) else {
                throw ImageError(.alreadyExists, "The set already has a snapshot \(id).", path: path)
            }
            let layers: [any DiskImage]
            if let leaf {
                layers = try setLeaf(leaf, of: &catalogue)
            } else {
                layers = try liveLayers(of: catalogue, in: file)
                try setLayers(layers, of: &catalogue)
            }
            let index = try frozenIndex(layer, in: layers)
            var paths: [CataloguePath] = []
            for layer in layers[index...] { paths.append(try recorded(layer.file)) }
            let identifiers = layers[index...].map(\.description.identifier)
            catalogue.snapshots.append(
                VHDSetSnapshot(
                    id: id,
                    snapshotPath: paths.first,
                    parentPaths: Array(paths.dropFirst()),
                    created: created,
                    identifier: identifiers.first ?? nil,
                    parentIdentifiers: Array(identifiers.dropFirst())
                )
            )
        }
    }

    /// Reads the catalogue, lets `body` change it, and puts it back.
    private func change(
        _ body: (inout VHDSetCatalogue, ImageFile) throws(ImageError) -> Void
    ) throws(ImageError) {
        // The lock lies on the file. One that was replaced meanwhile has another, which somebody else may hold.
        let storage = try FileStorage.open(path, isDurable: false)
        let file = try storage.file()
        guard try LocalFiles().open(path).identity == file.identity else {
            throw file.error(.inUse, "Another program is changing the catalogue.")
        }
        var catalogue = try VHDSetCatalogue(file)
        try body(&catalogue, file)
        guard catalogue.snapshots.count <= VHDSetCatalogue.maximumSnapshotCount else {
            throw file.error(
                .resourceLimit,
                "A catalogue has at most \(VHDSetCatalogue.maximumSnapshotCount) snapshots."
            )
        }
        let bytes = catalogue.encoded()
        guard bytes.count <= VHDSetCatalogue.maximumLength else {
            throw file.error(.resourceLimit, "The catalogue would become longer than it may be.")
        }
        try FileReplacement.write(bytes, to: path, isNew: false)
        // Until here the lock must hold.
        withExtendedLifetime(storage) {}
    }

    private func liveLayers(of catalogue: VHDSetCatalogue, in file: ImageFile) throws(ImageError) -> [any DiskImage] {
        guard !catalogue.isEmpty else {
            throw file.error(.invalidParameter, "The set has no disk yet: name the file that is written to.")
        }
        let leaf = try VHDSetLeaf(catalogue: catalogue, file: file).find(in: LocalFiles())
        guard !leaf.isFrozen else {
            throw file.error(.invalidParameter, "The catalogue names no live file: name the file that is written to.")
        }
        return leaf.layers
    }

    @discardableResult
    private func setLeaf(_ leaf: String, of catalogue: inout VHDSetCatalogue) throws(ImageError) -> [any DiskImage] {
        let files = LocalFiles()
        let layers = try DiskChain.layers(from: try files.open(leaf).openImage(in: files), in: files)
        try setLayers(layers, of: &catalogue)
        return layers
    }

    private func setLayers(_ layers: [any DiskImage], of catalogue: inout VHDSetCatalogue) throws(ImageError) {
        var known = CataloguePathSet(catalogue.allPaths)
        for (index, layer) in layers.enumerated() {
            guard layer.description.format == .vhdx else {
                throw layer.file.error(.unsupported, "The files of a VHD Set are VHDX files.")
            }
            let path = try recorded(layer.file)
            if index == 0 { catalogue.leafPath = path }
            guard !known.contains(path) else { continue }
            known.insert(path)
            catalogue.allPaths.append(path)
        }
    }

    private func frozenIndex(_ layer: String?, in layers: [any DiskImage]) throws(ImageError) -> Int {
        let live = layers.first?.file.name ?? path
        guard layers.count > 1 else {
            throw ImageError(
                .invalidParameter,
                "The disk has no parent that could hold a snapshot: make a new leaf on top of it, and name that.",
                path: live
            )
        }
        guard let layer else { return 1 }
        let identity = try LocalFiles().open(layer).identity
        guard let index = layers.firstIndex(where: { $0.file.identity == identity }), index > 0 else {
            throw ImageError(.invalidParameter, "The file is not a layer below the live file \(live).", path: layer)
        }
        return index
    }

    /// The path of a file as the catalogue has it: relative to the catalogue's folder.
    private func recorded(_ file: ImageFile) throws(ImageError) -> CataloguePath {
        let way = try RelativePath(fromFolderOf: path, to: file.path)
        let text = (Array(repeating: "..", count: way.up) + way.down).joined(separator: "/")
        guard let recorded = CataloguePath(text), !recorded.isWindows else {
            throw file.error(.invalidParameter, "A catalogue cannot have this path: it would be one of Windows.")
        }
        return recorded
    }
}

extension CatalogueTime {
    /// This moment, in whole seconds.
    public static var now: CatalogueTime { CatalogueTime(nanoseconds: Int64(time(nil)) &* 1_000_000_000) }
}

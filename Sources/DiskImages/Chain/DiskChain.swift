/// A disk with everything it stands on: the leaf that was named, its parent, and so on down to the base; or the chain that
/// the catalogue of a VHD Set names, with the set's snapshots.
///
/// A chain is used by one task at a time, as its images are.
public final class DiskChain {
    /// The most layers that are opened: each holds a descriptor and some 90 KiB of buffers.
    public static let maximumDepth = 256

    /// The layers, leaf first; never empty.
    public let layers: [any DiskImage]

    /// The snapshots of the VHD Set that the disk was named by, newest first; else empty.
    public let snapshots: [ChainSnapshot]

    /// The catalogue that the disk was named by; nil where it was named by its leaf.
    public let catalogue: ImageFile?

    /// What was looked for to open it; nil where it was not opened by name.
    private let lookups: FileLookups?

    /// A disk of `layers`, leaf first.
    public convenience init(
        layers: [any DiskImage],
        snapshots: [ChainSnapshot] = [],
        catalogue: ImageFile? = nil
    ) {
        self.init(layers: layers, snapshots: snapshots, catalogue: catalogue, lookups: nil)
    }

    private init(
        layers: [any DiskImage],
        snapshots: [ChainSnapshot],
        catalogue: ImageFile?,
        lookups: FileLookups?
    ) {
        self.layers = layers
        self.snapshots = snapshots
        self.catalogue = catalogue
        self.lookups = lookups
    }

    /// The format by which the disk was named.
    public var format: ImageDescription.Format {
        catalogue != nil ? .vhdset : layers.first?.description.format ?? .raw
    }

    /// Opens the disk `name` and all its parents; or the disk of the VHD Set whose catalogue `name` is.
    ///
    /// Where a file changes meanwhile, the disk is opened again, a few times. A disk whose leaf is written all the time is
    /// opened all the same: its layers below may be at rest. Whoever reads looks at each again (``DiskImage/isUnchanged``).
    ///
    /// - Parameters:
    ///   - saidFormat: what who names it says of its format (``ImageFile/openImage(in:as:saidFormat:)``).
    ///   - assumesRest: whether the caller knows that nobody writes, so that what is wrong with a file is told although somebody
    ///     has it open for writing.
    /// - Throws: `fileNotFound`, `accessDenied`, `notADisk`, `unsupported`, `corrupt`, `readFailed` for the leaf, and
    ///   `invalidParameter` where its name claims another format than `saidFormat`; these and
    ///   `parentNotFound`, `parentMismatch`, `pathNotAllowed`, `chainCycle` for a parent; `resourceLimit` where the chain
    ///   is longer than `maximumDepth` or the process has no descriptor left; `changed` where it cannot be opened and its files
    ///   change all the time; `inUse` where somebody has a file open for writing that cannot be made out.
    public static func open(
        _ name: String,
        in files: some ImageFiles,
        saidFormat: ImageDescription.Format? = nil,
        assumingRest assumesRest: Bool = false
    ) throws(ImageError) -> DiskChain {
        var attempts = 1
        while true {
            let observed = ObservedFiles(files)
            let chain = Result { () throws(ImageError) in try openOnce(name, in: observed, saidFormat) }
            if observed.areAtRest, observed.areWhereTheyWere {
                if case .failure(let error) = chain, error.isAboutContent, !assumesRest, let file = observed.fileInUse {
                    throw file.inUseError
                }
                return try chain.get()
            }
            guard attempts < maximumAttempts else {
                // A leaf may be written to all the time. A chain whose files are not where they were is none.
                if case .success(let chain) = chain, observed.areWhereTheyWere { return chain }
                throw ImageError(.changed, "The disk is written to while it is opened: ask again.", path: name)
            }
            attempts += 1
            observed.waitUntilChangesShow()
        }
    }

    /// How often a disk is opened whose files change meanwhile.
    private static let maximumAttempts = 4

    private static func openOnce(
        _ name: String,
        in files: ObservedFiles,
        _ saidFormat: ImageDescription.Format?
    ) throws(ImageError) -> DiskChain {
        let file = try files.open(name)
        try file.checkThatNameAllows(saidFormat)
        guard NameClaim.format(of: file.name) == .vhdset else {
            let layers = try layers(from: try file.openImage(in: files, saidFormat: saidFormat), in: files)
            return DiskChain(layers: layers, snapshots: [], catalogue: nil, lookups: files.lookups)
        }
        guard let chain = try VHDSet(file, in: files).chain else {
            throw file.corrupt("The catalogue names no file of a disk: add the property LeafPath.")
        }
        return DiskChain(
            layers: chain.layers,
            snapshots: chain.snapshots,
            catalogue: chain.catalogue,
            lookups: files.lookups
        )
    }

    /// Whether what was read of the disk stays true for as long as its files' sizes and times stay what they are, so that it can
    /// be used for another question.
    public var isDependable: Bool {
        layers.allSatisfy { $0.files.allSatisfy(\.isDependable) } && catalogue?.isDependable ?? true
    }

    /// Looks at the files of the disk of which nothing proves that they are at rest.
    ///
    /// - Returns: whether some of them must be looked at once more.
    public func look(by looks: FileLooks) -> Bool {
        let files = layers.flatMap(\.files) + [catalogue].compactMap { $0 }
        return files.count { $0.rest == .unproved && looks.look(at: $0) != nil } > 0
    }

    /// Whether every file of the disk is still what it was when it was opened.
    public var isUnchanged: Bool {
        guard layers.allSatisfy(\.isUnchanged) else { return false }
        guard let catalogue else { return true }
        return (try? catalogue.isUnchanged()) ?? false
    }

    /// Whether opening the disk in `files` now would find the same: the same files in the same state, all of them at rest, and
    /// nothing where nothing was. It opens each of them for a moment and reads nothing.
    public func isCurrent(in files: some ImageFiles) -> Bool {
        guard let lookups, layers.allSatisfy({ !$0.isFresh }), !(catalogue?.isFresh ?? false) else { return false }
        return lookups.areRepeated(in: files)
    }

    /// A leaf and all its parents.
    static func layers(
        from leaf: any DiskImage,
        in files: some ImageFiles
    ) throws(ImageError) -> [any DiskImage] {
        var layers = [leaf]
        while let parent = try nextLayer(of: layers, in: files) { layers.append(parent) }
        return layers
    }

    /// The parent of the last of `layers`; nil where it is the base.
    static func nextLayer(
        of layers: [any DiskImage],
        in files: some ImageFiles
    ) throws(ImageError) -> (any DiskImage)? {
        guard let child = layers.last, let reference = child.description.parent else { return nil }
        guard layers.count < maximumDepth else {
            throw child.file.error(.resourceLimit, "The chain has more than \(maximumDepth) layers.")
        }
        let parent = try ParentSearch(child: child, reference: reference).run(in: files)
        guard !layers.contains(where: { $0.file.identity == parent.file.identity }) else {
            throw child.file.error(
                .chainCycle,
                "The parent \(parent.file.name) is already part of the chain, so that the disk is its own ancestor."
            )
        }
        let childSector = child.description.logicalSectorSize
        let parentSector = parent.description.logicalSectorSize
        guard childSector == parentSector else {
            throw child.file.corrupt(
                "The disk has sectors of \(childSector) bytes and its parent \(parent.file.name) of \(parentSector)."
            )
        }
        return parent
    }
}

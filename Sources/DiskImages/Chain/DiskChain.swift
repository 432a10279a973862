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

    /// A disk of `layers`, leaf first.
    public init(layers: [any DiskImage], snapshots: [ChainSnapshot] = [], catalogue: ImageFile? = nil) {
        self.layers = layers
        self.snapshots = snapshots
        self.catalogue = catalogue
    }

    /// The format by which the disk was named.
    public var format: ImageDescription.Format {
        catalogue != nil ? .vhdset : layers.first?.description.format ?? .raw
    }

    /// Opens the disk `name` and all its parents; or the disk of the VHD Set whose catalogue `name` is.
    ///
    /// - Throws: `fileNotFound`, `accessDenied`, `notADisk`, `unsupported`, `corrupt`, `readFailed` for the leaf; these and
    ///   `parentNotFound`, `parentMismatch`, `pathNotAllowed`, `chainCycle` for a parent; `resourceLimit` where the chain
    ///   is longer than `maximumDepth` or the process has no descriptor left.
    public static func open(_ name: String, in files: some ImageFiles) throws(ImageError) -> DiskChain {
        let file = try files.open(name)
        guard NameClaim.format(of: file.name) == .vhdset else {
            return DiskChain(layers: try layers(from: try file.openImage(in: files), in: files))
        }
        guard let chain = try VHDSet(file, in: files).chain else {
            throw file.corrupt("The catalogue names no file of a disk: add the property LeafPath.")
        }
        return chain
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

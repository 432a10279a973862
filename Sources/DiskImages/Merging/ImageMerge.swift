/// Commits a checkpoint into its parent: afterwards the parent holds what the checkpoint held, on its own.
///
/// The sectors that the child has are written into the parent, as its zeroes are. That changes what the parent's other
/// children would read, so the parent gets a new identity before its first byte changes, and they find it no more: a merge
/// is for parents with one child. The child itself is told the new identity before the parent gets it. It stays where it
/// is, and remains a good child of its parent with the same content; it can be removed, or go on to be used.
///
/// ### Crashes
///
/// Whatever has been done when a merge stops, what can be read through the child is what it was, and the merge can be run
/// again: it begins anew and ends the same. Until it has ended, the parent by itself is neither the one nor the other
/// state of the disk; only the child is.
public struct ImageMerge: Sendable {
    private let path: String
    private let isOnlyChild: Bool
    private let isDurable: Bool

    /// - Parameters:
    ///   - path: the child, relative to the process's working directory.
    ///   - isOnlyChild: whether the caller knows that no other disk depends on the parent. Files do not say.
    ///   - isDurable: whether to wait until the medium has each step. Without it, a crash of the machine may spoil both
    ///     images.
    public init(path: String, isOnlyChild: Bool, isDurable: Bool = true) {
        self.path = path
        self.isOnlyChild = isOnlyChild
        self.isDurable = isDurable
    }

    /// Merges, with both files locked against other writers.
    ///
    /// - Throws: `invalidParameter` where the disk has no parent, is not said to be its only child or has not its size;
    ///   `unsupported` for formats that are not merged, and where a log must be replayed first; `inUse` where another
    ///   writer has one of the two open; `writeFailed`, after which the merge can be run again; what opening the chain
    ///   throws.
    public func run() throws(ImageError) {
        guard isOnlyChild else {
            throw ImageError(
                .invalidParameter,
                "A merge makes every other child of the parent unusable; it must be said that there is none.",
                path: path
            )
        }
        let files = LocalFiles()
        let childStorage = try FileStorage.open(path, isDurable: isDurable)
        let layers = try DiskChain.layers(from: childStorage.file().openImage(in: files), in: files)
        guard layers.count > 1 else {
            throw ImageError(.invalidParameter, "The disk has no parent that it could be merged into.", path: path)
        }
        let child = layers[0]
        let found = layers[1].file
        let parentStorage = try FileStorage.open(found.path, isDurable: isDurable)
        // Before the lock was there, another program could have changed the parent, or put another file in its place.
        let parentFile = try parentStorage.file()
        let parent = try parentFile.openImage(in: files, as: layers[1].description.format)
        guard parentFile.identity == found.identity,
            parent.description.identifier == layers[1].description.identifier
        else {
            throw parentFile.error(.inUse, "The parent was changed while it was being opened.")
        }
        try Self.merge(child, in: childStorage, into: parent, in: parentStorage)
    }

    /// Merges `child` into `parent`, which was found by its identity; each storage is the same file, open for writing.
    ///
    /// - Throws: as `run`.
    static func merge(
        _ child: any DiskImage,
        in childStorage: any ImageStorage,
        into parent: any DiskImage,
        in parentStorage: any ImageStorage
    ) throws(ImageError) {
        switch (child, parent) {
        case (let child as VHDXImage, let parent as VHDXImage):
            try VHDXMerge(
                child: MergedImage(image: child, storage: childStorage),
                parent: MergedImage(image: parent, storage: parentStorage)
            ).run()
        case (let child as VHDImage, let parent as VHDImage):
            try VHDMerge(
                child: MergedImage(image: child, storage: childStorage),
                parent: MergedImage(image: parent, storage: parentStorage)
            ).run()
        default:
            throw child.file.error(.unsupported, "This version of the program merges VHDX and VHD files only.")
        }
    }

    /// Refuses disks of different sizes: the parent would be another disk than the child was, and it does not grow.
    static func checkSizes(of child: any DiskImage, and parent: any DiskImage) throws(ImageError) {
        guard child.size == parent.size else {
            throw child.file.error(
                .invalidParameter,
                "The disk has \(child.size) bytes and its parent \(parent.size): "
                    + "a merge needs a parent of the same size, and does not change it."
            )
        }
    }
}

/// One of the two images of a merge.
struct MergedImage<Image: DiskImage> {
    let image: Image
    /// The same file, open for writing.
    let storage: any ImageStorage
}

/// Writes to the virtual disk of a VHDX file.
///
/// ### Crashes
///
/// After a crash at any moment, of the process or of the machine, every reader finds the image intact, and each sector
/// with its old or its new content. The log is not needed for that, and is never made dirty, so that there is nothing to
/// replay. Every change is made of steps of which each is harmless by itself, with `synchronize()` between them:
///
/// 1. The payload. A sector that is overwritten in place is old or new, as on any disk. All else goes where nothing
///    refers to yet: behind the file's end, or into sectors whose bit in the sector bitmap is clear. The bits of a block
///    that is not present are written here as well, for nobody consults them.
/// 2. What makes it visible for blocks that are partially present: the bits of the sector bitmap, which only ever are set;
///    and the entry of a new sector bitmap block, which nobody consults as long as no block of its chunk is partially
///    present.
/// 3. What makes it visible for all other blocks: their entries in the block allocation table. An entry is eight bytes
///    and never crosses a sector of the medium, which takes a sector as a whole or not at all; and each entry is
///    independent of every other.
///
/// A file may grow while its log is empty. What a crash leaves behind its last block is not reused, nor is the space of
/// blocks that became zero: it is lost until the file is compacted.
///
/// A writer is used by one task at a time.
public final class VHDXWriter: ImageWriter {
    private let storage: any ImageStorage
    private let path: String
    private var updater: VHDXHeaderUpdater
    private var blocks: VHDXBlockWriter
    private var hasStaged = false
    private var hasFailed = false

    /// - Throws: as `check` for `image`, the same file.
    convenience init(checking image: VHDXImage, storage: any ImageStorage, path: String) throws(ImageError) {
        try Self.check(image)
        self.init(storage: storage, path: path, structure: image.structure)
    }

    /// - Throws: `unsupported` where the log of `image` must be replayed first; `corrupt` where any block of it is damaged.
    static func check(_ image: VHDXImage) throws(ImageError) {
        try image.checkLogIsEmpty()
        // The file is going to grow. An entry that leads beyond its end would then lead to something.
        if let problem = try VHDXBlockCheck(image).findings(limit: 1).problems.first { throw problem }
    }

    /// - Parameter identifier: the DataWriteGuid that the image has from the first change on.
    init(
        storage: any ImageStorage,
        path: String,
        structure: VHDXStructure,
        identifier: GUID = .random()
    ) {
        self.storage = storage
        self.path = path
        updater = VHDXHeaderUpdater(current: structure.current, dataWriteGUID: identifier)
        blocks = VHDXBlockWriter(storage: storage, path: path, structure: structure)
    }

    /// The size of the virtual disk in bytes.
    public var virtualSize: UInt64 { blocks.geometry.virtualSize }

    /// In bytes: what every offset and length must be a multiple of.
    public var logicalSectorSize: UInt64 { blocks.geometry.sectorSize }

    /// Writes `bytes` to the virtual disk at `offset`. When this returns, they are on the medium.
    ///
    /// - Throws: `invalidParameter` where offset or length is not a multiple of the logical sector or the disk ends
    ///   before; `writeFailed`, after which the writer takes nothing more; `corrupt`, `readFailed`.
    public func write(_ bytes: RawSpan, at offset: UInt64) throws(ImageError) {
        try check(offset: offset, count: UInt64(bytes.byteCount), path: path)
        guard bytes.byteCount > 0 else { return }
        try bytes.withUnsafeBytes { (buffer) throws(ImageError) in
            try stage(buffer, at: offset)
        }
        try commit()
    }

    /// Makes `count` bytes of the virtual disk at `offset` read as zeroes. When this returns, they do, on the medium.
    ///
    /// A block of which all is covered gets the state ZERO, unless the disk is a fixed one; elsewhere zeroes are written.
    ///
    /// - Throws: as `write(_:at:)`.
    public func writeZeroes(at offset: UInt64, count: UInt64) throws(ImageError) {
        try check(offset: offset, count: count, path: path)
        guard count > 0 else { return }
        try stageZeroes(at: offset, count: count)
        try commit()
    }

    /// Writes `bytes` to the virtual disk at `offset`, as `write(_:at:)` does; but the medium need not have them before
    /// `commit()` returns, so that it is waited for less often where many pieces are written.
    func stage(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(ImageError) {
        try check(offset: offset, count: UInt64(bytes.count), path: path)
        try change { () throws(ImageError) in
            hasStaged = true
            try blocks.stage(.bytes(bytes), at: offset, count: UInt64(bytes.count))
        }
    }

    /// As above, for zeroes.
    func stageZeroes(at offset: UInt64, count: UInt64) throws(ImageError) {
        try check(offset: offset, count: count, path: path)
        try change { () throws(ImageError) in
            hasStaged = true
            try blocks.stage(.zeroes, at: offset, count: count)
        }
    }

    /// Waits until the medium has everything that was staged, and all of it is seen. Where nothing was, the file stays as it
    /// is.
    func commit() throws(ImageError) {
        guard hasStaged else { return }
        try change { () throws(ImageError) in try blocks.commit() }
        hasStaged = false
    }

    /// Runs `body` after the headers say that something changes.
    private func change(_ body: () throws(ImageError) -> Void) throws(ImageError) {
        // After a write that failed nobody knows what the medium has and what it has not.
        guard !hasFailed else {
            throw ImageError(.writeFailed, "An earlier write failed; the image must be opened again.", path: path)
        }
        do throws(ImageError) {
            try updater.updateOnce(in: storage, path: path)
            try body()
        } catch {
            hasFailed = true
            throw error
        }
    }
}

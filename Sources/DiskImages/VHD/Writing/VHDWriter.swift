internal import ByteReading

/// Writes to the virtual disk of a VHD file.
///
/// ### Crashes
///
/// After a crash at any moment, of the process or of the machine, every reader finds the image intact, and each sector
/// with its old or its new content. Every change is made of steps of which each is harmless by itself, with
/// `synchronize()` between them:
///
/// 1. Once for each opening, the copy of the footer at the file's start, and then the footer at its end, get a later time.
///    One of the two is whole at any moment, and both are of the same disk. A fixed disk has one footer: it is a sector of
///    the medium, which takes a sector as a whole or not at all.
/// 2. Where blocks are added, the file grows by all of them, and the footer is written at its new end. Until that is on
///    the medium, the file ends in zeroes or in a part of a footer, neither of which is one, and readers use the copy at the
///    start, as the specification says. The old footer still lies where the new blocks will be, and nobody looks for it
///    there any more.
/// 3. The payload, and the bitmaps of new blocks. A sector that is overwritten in place is old or new, as on any disk. All
///    else goes where nothing refers to yet: into new blocks, over the old footer too, or into sectors whose bit is clear.
///    Where there is no parent, such bits are set before: the sectors are zero with them and without.
/// 4. What makes it visible: bits of blocks that were there, which only ever are set, and the entries of new blocks in the
///    block allocation table. An entry is four bytes and never crosses a sector of the medium; and each bit and each entry
///    is independent of every other.
///
/// What a crash leaves before the footer is not reused: it is lost until the file is compacted.
///
/// ### Identity
///
/// The UniqueId stays: it is the disk's, from its making on, and children know their parent by it. Windows keeps it as
/// well. A parent that is written to after a child was made has the right identity, and nothing shows that the child has
/// lost its ground; so only leaves should be written to. The footer's time does change, to a later one with every opening
/// that writes: it is part of what an image's `revision` is made of.
///
/// A writer is used by one task at a time.
public final class VHDWriter: ImageWriter {
    private let storage: any ImageStorage
    private let path: String
    private var footers: VHDFooterUpdater
    /// Nil for a fixed disk.
    private var blocks: VHDBlockWriter?
    private var hasFailed = false

    public let virtualSize: UInt64
    public let logicalSectorSize = VHDFormat.sectorSize

    /// - Throws: as `check` for `image`, the same file.
    convenience init(checking image: VHDImage, storage: any ImageStorage, path: String) throws(ImageError) {
        try Self.check(image)
        self.init(storage: storage, path: path, structure: image.structure)
    }

    /// - Throws: `unsupported` where the disk belongs to a machine that was saved; `corrupt` where any block of `image` is
    ///   damaged.
    static func check(_ image: VHDImage) throws(ImageError) {
        guard image.structure.footer.savedState == 0 else {
            throw image.file.error(
                .unsupported,
                "The disk belongs to a virtual machine in saved state, which would find another disk when it goes on.",
                detailCode: VHDDetailCode.invalidState
            )
        }
        // The file is going to grow. An entry that leads beyond its end would then lead to something.
        if let problem = try VHDBlockCheck(image)?.findings(limit: 1).problems.first { throw problem }
    }

    init(storage: any ImageStorage, path: String, structure: VHDStructure) {
        self.storage = storage
        self.path = path
        virtualSize = structure.virtualSize
        footers = VHDFooterUpdater(structure)
        blocks = structure.dynamic.map { VHDBlockWriter(storage: storage, path: path, dynamic: $0) }
    }

    public func write(_ bytes: RawSpan, at offset: UInt64) throws(ImageError) {
        try check(offset: offset, count: UInt64(bytes.byteCount), path: path)
        guard bytes.byteCount > 0 else { return }
        try bytes.withUnsafeBytes { (buffer) throws(ImageError) in
            try write(.bytes(buffer), at: offset, count: UInt64(buffer.count))
        }
    }

    /// Makes `count` bytes of the virtual disk at `offset` read as zeroes. When this returns, they do, on the medium.
    ///
    /// The format has no state for zeroes: with a parent, and in a fixed disk, they are written like other data. In a dynamic
    /// disk a block that is not in the file is left out.
    ///
    /// - Throws: as `write(_:at:)`.
    public func writeZeroes(at offset: UInt64, count: UInt64) throws(ImageError) {
        try check(offset: offset, count: count, path: path)
        guard count > 0 else { return }
        try write(.zeroes, at: offset, count: count)
    }

    private func write(_ source: WriteSource, at offset: UInt64, count: UInt64) throws(ImageError) {
        // After a write that failed nobody knows what the medium has and what it has not.
        guard !hasFailed else {
            throw ImageError(.writeFailed, "An earlier write failed; the image must be opened again.", path: path)
        }
        do throws(ImageError) {
            try footers.updateOnce(in: storage, path: path)
            if blocks != nil {
                try blocks?.write(source, at: offset, count: count, footers: &footers)
            } else {
                switch source {
                case .bytes(let buffer): try storage.write(buffer, at: offset)
                case .zeroes: try storage.writeZeroes(at: offset, count: count)
                }
                try storage.synchronize()
            }
        } catch {
            hasFailed = true
            throw error
        }
    }
}

/// A VHD or AVHD file, open for reading (Virtual Hard Disk Image Format Specification 1.0).
///
/// Opening reads the footer and the dynamic disk header. The block allocation table is read 64 KiB at a time, and a
/// block's bitmap as `extent` comes to it; nothing is concluded from an entry outside the window asked about.
///
/// ### What a sector is
///
/// - A fixed disk is all `data`.
/// - A block that is not in the file is `absent`.
/// - In a block that is, a sector whose bit is set is `data` and any other `absent`, with a parent and without: "which
///   sectors contain valid data (1's) and which sectors have never been modified (0's)". Windows and QEMU set all bits of
///   a block of a dynamic disk when they make it, so that on their disks whole blocks are `data`.
///
/// The format has no state for zeroes: a sector of a child that was cleared is either `data` that is zero, or cannot be
/// told from one that was never written.
///
/// ### Who it is
///
/// A child knows its parent by the parent's UniqueId. That is given to a disk when it is made and stays, whatever is
/// written: a parent that was modified behind its child's back has the right identity. The header's field for the time at
/// which the parent was modified does not help: it is zero in what Windows writes today, and a copy of the parent has
/// another time and is the same disk. It is not looked at. The footer's own time is by the specification that of the
/// disk's making, and a writer may change it, as `VHDWriter` does: it is part of `revision`.
public final class VHDImage: DiskImage {
    public let description: ImageDescription
    public let file: ImageFile

    /// What an extent begins and ends at a multiple of: 64 sectors.
    static let alignment = 64 * VHDFormat.sectorSize

    let structure: VHDStructure
    /// The footer, and its copy at the file's start.
    private let footers: [FileExcerpt]
    /// Nil for a fixed disk.
    private var blocks: VHDBlockReader?

    /// - Throws: `corrupt`; `unsupported` for what this program does not know; `readFailed`.
    public init(_ file: ImageFile) throws(ImageError) {
        self.file = file
        let length = VHDFormat.footerLength
        footers = [
            try FileExcerpt(of: file, 0..<length),
            try FileExcerpt(of: file, file.size - min(file.size, length)..<file.size),
        ]
        structure = try VHDStructure.read(from: file)
        description = structure.description
        blocks = structure.dynamic.map { [structure] dynamic in
            VHDBlockReader(file: file, dynamic: dynamic, dataEnd: structure.dataEnd)
        }
    }

    public func hasSameHeaders() throws(ImageError) -> Bool {
        for footer in footers where try !footer.isUnchanged(in: file) { return false }
        return true
    }

    public func fragmentationPercentage() throws(ImageError) -> UInt32? {
        guard let dynamic = structure.dynamic else { return nil }
        var table = dynamic.table(in: file)
        let geometry = dynamic.geometry
        var fragmentation = Fragmentation(stride: geometry.bitmapLength + geometry.blockSize)
        for block in 0..<geometry.blockCount {
            fragmentation.add(try table.entry(block).map { UInt64($0) << VHDFormat.sectorShift })
        }
        return fragmentation.percentage
    }

    public func extent(
        at offset: UInt64,
        limit: UInt64,
        into mask: inout SectorMask
    ) throws(ImageError) -> LayerExtent {
        let limit = try checkedLimit(limit, from: offset, of: file)
        return try blocks?.extent(at: offset, limit: limit, into: &mask) ?? .uniform(.data, end: limit)
    }
}

extension VHDStructure.Dynamic {
    func table(in file: ImageFile) -> VHDBlockTable {
        VHDBlockTable(file: file, offset: header.tableOffset, entryCount: geometry.blockCount)
    }
}

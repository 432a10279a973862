/// The size that some programs take from a footer's geometry, where that is larger than the disk.
///
/// Hyper-V and Windows go by CurrentSize, whoever made the disk, and so does this program: in every layer of a chain, for
/// layers are made by one program after the other, and would not fit together if each had a rule of its own. Virtual PC
/// goes by the geometry, and QEMU as well, unless it knows the creator to write a good CurrentSize (vpc_open in QEMU's
/// block/vpc.c).
///
/// A geometry is rounded down to whole cylinders as a rule, and what it leaves out is told like the rest of the disk. It is
/// seldom larger. Then a machine may have written behind CurrentSize, and no answer could tell it.
struct VHDSizeByGeometry {
    /// The creators of which QEMU takes CurrentSize.
    private static let creators: Set<UInt32> = [
        0x7769_6E20,  // "win ", Hyper-V
        0x7165_6D32,  // "qem2", QEMU with force_size
        0x6432_7620,  // "d2v ", Disk2vhd
        0x7461_7000,  // "tap\0", XenServer
        0x4354_5853,  // "CTXS", XenConverter
        0x7761_0000,  // "wa\0\0", Azure
    ]
    /// How many entries of the block allocation table are looked at: those of 2 TiB in blocks of 512 KiB.
    private static let maximumEntryCount: UInt64 = 4 << 20
    /// In bytes: how much of a block is read at a time.
    private static let pieceLength: UInt64 = 64 << 10

    private let currentSize: UInt64
    private let sizeByGeometry: UInt64

    /// Nil where nobody takes the disk for larger than it is.
    init?(_ footer: VHDFooter) {
        // A geometry that is the largest there is says nothing.
        guard !Self.creators.contains(footer.creator), footer.diskGeometry != .maximum,
            footer.diskGeometry.size > footer.currentSize
        else { return nil }
        currentSize = footer.currentSize
        sizeByGeometry = footer.diskGeometry.size
    }

    /// Refuses a disk that holds anything behind its end. In a fixed disk there is no room for it.
    ///
    /// - Throws: `unsupported`, `readFailed`.
    func check(_ dynamic: VHDStructure.Dynamic, in file: ImageFile, dataEnd: UInt64) throws(ImageError) {
        if try !hasFurtherBlocks(dynamic, in: file), try !hasDataBehindEnd(dynamic, in: file, dataEnd: dataEnd) {
            return
        }
        throw file.error(
            .unsupported,
            """
            The disk has \(currentSize) bytes by its size and \(sizeByGeometry) by its geometry, and data behind the \
            smaller of the two; programs do not agree on which of them counts.
            """,
            at: dataEnd
        )
    }

    /// Whether the file has blocks that lie wholly behind the disk's end; also where there are too many entries to know.
    private func hasFurtherBlocks(_ dynamic: VHDStructure.Dynamic, in file: ImageFile) throws(ImageError) -> Bool {
        let geometry = dynamic.geometry
        let room = (file.size - dynamic.header.tableOffset) / 4
        let count = (sizeByGeometry + geometry.blockSize - 1) >> geometry.blockShift
        let end = min(count, UInt64(dynamic.header.maximumEntryCount), room)
        var block = geometry.blockCount
        guard end <= block + Self.maximumEntryCount else { return true }
        var table = VHDBlockTable(file: file, offset: dynamic.header.tableOffset, entryCount: end)
        while block < end {
            guard try table.entry(block) == nil else { return true }
            block = table.endOfAbsentRun(from: block, limit: end)
        }
        return false
    }

    /// Whether the last block goes on behind the disk's end with data that is not all zeroes: most programs set all bits of a
    /// block when they make it.
    private func hasDataBehindEnd(
        _ dynamic: VHDStructure.Dynamic,
        in file: ImageFile,
        dataEnd: UInt64
    ) throws(ImageError) -> Bool {
        let geometry = dynamic.geometry
        let last = geometry.blockCount - 1
        var table = dynamic.table(in: file)
        // A damaged entry is told to whoever asks about its block.
        guard let entry = try table.entry(last),
            dynamic.problem(withPlaceOf: entry, block: last, dataEnd: dataEnd) == nil
        else { return false }
        let place = UInt64(entry) << VHDFormat.sectorShift
        let data = place + geometry.bitmapLength
        let end = min(geometry.blockSize, sizeByGeometry - last << geometry.blockShift, dataEnd - data)
        var offset = geometry.length(ofBlock: last)
        guard offset < end else { return false }
        var bitmap = VHDSectorBitmap(file: file, geometry: geometry)
        try bitmap.load(block: last, at: place)
        var words: [UInt64] = []
        while offset < end {
            let count = Int(min(Self.pieceLength, end - offset) / 8)
            try file.readWords(at: data + offset, count: count, .native, into: &words)
            for index in 0..<count where words[index] != 0 {
                if bitmap.hasData((offset + UInt64(index) * 8) >> VHDFormat.sectorShift) { return true }
            }
            offset += Self.pieceLength
        }
        return false
    }
}

/// A VHDX or AVHDX file, open for reading ([MS-VHDX]).
///
/// Opening reads the headers, the region table and the metadata. The block allocation table and the sector bitmaps are
/// read as `extent` comes to them, 64 KiB at a time; nothing is concluded from an entry outside the window asked about.
///
/// A file that was not closed properly has changes in its log that are not in their places yet. They are looked up when it
/// is opened, and count: the answer is that of the file after a replay, and the file is not written.
public final class VHDXImage: DiskImage {
    public let description: ImageDescription
    public let file: ImageFile

    let structure: VHDXStructure
    private let headers: [FileExcerpt]
    private let geometry: VHDXGeometry
    private var blockTable: VHDXBlockTable
    private var bitmap: VHDXSectorBitmap

    /// - Throws: `corrupt`; `unsupported` for what this program does not know; `resourceLimit` for a log that holds too much
    ///   to be replayed; `readFailed`.
    public init(_ file: ImageFile) throws(ImageError) {
        self.file = file
        var headers: [FileExcerpt] = []
        for offset in VHDXFormat.headerOffsets {
            headers.append(try FileExcerpt(of: file, offset..<offset + UInt64(VHDXHeader.length)))
        }
        self.headers = headers
        structure = try VHDXStructure.read(from: file)
        geometry = structure.geometry
        description = structure.description
        blockTable = try VHDXBlockTable(
            file: structure.file,
            region: structure.regions.blockTable,
            geometry: geometry
        )
        bitmap = VHDXSectorBitmap(file: structure.file)
    }

    public func hasSameHeaders() throws(ImageError) -> Bool {
        for header in headers where try !header.isUnchanged(in: file) { return false }
        return true
    }

    public func fragmentationPercentage() throws(ImageError) -> UInt32? {
        var table = blockTable
        var fragmentation = Fragmentation(stride: geometry.blockSize)
        for block in 0..<geometry.blockCount {
            let entry = try table.entry(geometry.entryIndex(ofBlock: block))
            let isThere = entry.state == .fullyPresent || entry.state == .partiallyPresent
            fragmentation.add(isThere ? entry.offset : nil)
        }
        return fragmentation.percentage
    }

    public func extent(
        at offset: UInt64,
        limit: UInt64,
        into mask: inout SectorMask
    ) throws(ImageError) -> LayerExtent {
        let limit = try checkedLimit(limit, from: offset, of: file)
        let block = offset >> geometry.blockShift
        let index = geometry.entryIndex(ofBlock: block)
        let entry = try blockTable.entry(index)
        guard let kind = kind(of: entry, block: block) else {
            throw corruption(of: entry, block: block, at: blockTable.fileOffset(ofEntry: index))
        }
        switch kind {
        case .uniform(let content):
            return .uniform(content, end: endOfRun(of: kind, like: entry, after: block, limit: limit))
        case .partial:
            // The bits of a chunk's blocks follow each other, so that a run of such blocks is told at once.
            let chunkEnd = ((block >> geometry.chunkRatioShift) + 1) << geometry.chunkShift
            let longest = offset + UInt64(SectorMask.capacity) << geometry.sectorShift
            let end = endOfRun(of: kind, like: entry, after: block, limit: min(limit, chunkEnd, longest))
            return .mixed(end: try fill(&mask, from: offset, to: end, block: block))
        }
    }

    private enum Kind: Equatable {
        case uniform(SectorContent)
        case partial
    }

    /// What an entry says of its block; nil where it is damaged.
    private func kind(of entry: VHDXBlockEntry, block: UInt64) -> Kind? {
        let problem = structure.problem(withPlaceOf: entry, block: block, fileSize: structure.file.size)
        guard problem == nil else { return nil }
        return switch entry.state {
        case .notPresent: .uniform(.absent)
        // The specification lets such a block hold anything: whoever asks what may have changed must be told of it.
        case .undefined, .fullyPresent: .uniform(.data)
        case .zero: .uniform(.zero)
        case .unmapped: .uniform(.unmapped)
        case .partiallyPresent: geometry.isDifferencing ? .partial : nil
        case nil: nil
        }
    }

    /// Where the run of blocks of the same kind as `block` ends, at the end of the loaded page of the block
    /// allocation table at the latest. It ends before a damaged entry, so that what comes before can be told.
    private func endOfRun(
        of kind: Kind,
        like entry: VHDXBlockEntry,
        after block: UInt64,
        limit: UInt64
    ) -> UInt64 {
        let blockLimit = min(geometry.blockCount, (limit + geometry.blockSize - 1) >> geometry.blockShift)
        // Entries without a place repeat to the bit in long runs, and the bits need no second look.
        let isRepeatable = kind != .uniform(.data) && kind != .partial
        var next = block + 1
        while next < blockLimit, let other = blockTable.loadedEntry(geometry.entryIndex(ofBlock: next)) {
            guard isRepeatable && other == entry || self.kind(of: other, block: next) == kind else { break }
            next += 1
        }
        return min(limit, next << geometry.blockShift)
    }

    /// Fills `mask` from the sector bitmap of partially present blocks, of which `block` is the first, and returns where it
    /// ends.
    private func fill(
        _ mask: inout SectorMask,
        from offset: UInt64,
        to end: UInt64,
        block: UInt64
    ) throws(ImageError) -> UInt64 {
        let chunk = block >> geometry.chunkRatioShift
        if bitmap.chunk != chunk {
            bitmap.place(chunk: chunk, at: try bitmapOffset(ofChunk: chunk, neededBy: block))
        }
        let sector = (offset & ((1 << geometry.chunkShift) - 1)) >> geometry.sectorShift
        let sectorLimit = sector + (end - offset + geometry.sectorSize - 1) >> geometry.sectorShift
        let filled = try bitmap.fill(&mask, from: sector, to: sectorLimit)
        return min(end, offset + filled << geometry.sectorShift)
    }

    private func bitmapOffset(ofChunk chunk: UInt64, neededBy block: UInt64) throws(ImageError) -> UInt64 {
        let index = geometry.entryIndex(ofBitmap: chunk)
        let place = blockTable.fileOffset(ofEntry: index)
        // Not by way of the table: the page with the payload blocks is still needed.
        let entry = VHDXBlockEntry(word: UInt64(try structure.file.bytes(at: place, count: 8), .littleEndian))
        guard entry.state == .fullyPresent else {
            throw file.corrupt(
                "Payload block \(block) is partially present, and the sector bitmap block \(chunk) is not there.",
                at: place,
                detailCode: VHDXDetailCode.bitmapMismatch
            )
        }
        if let problem = structure.problem(withPlaceOf: entry, bitmapOfChunk: chunk, fileSize: structure.file.size) {
            throw file.corrupt(problem, at: place, detailCode: VHDXDetailCode.blockTableCorrupt)
        }
        return entry.offset
    }

    private func corruption(of entry: VHDXBlockEntry, block: UInt64, at place: UInt64) -> ImageError {
        let message =
            switch entry.state {
            case nil:
                "The block allocation table gives payload block \(block) a state that does not exist."
            case .partiallyPresent where !geometry.isDifferencing:
                "Payload block \(block) is partially present, and the disk has no parent."
            default:
                structure.problem(withPlaceOf: entry, block: block, fileSize: structure.file.size)
                    ?? "The entry of payload block \(block) is damaged."
            }
        return file.corrupt(message, at: place, detailCode: VHDXDetailCode.blockTableCorrupt)
    }
}

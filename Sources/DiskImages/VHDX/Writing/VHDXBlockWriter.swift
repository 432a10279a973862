/// Changes blocks, their bits and their entries, in the order that `VHDXWriter` describes.
struct VHDXBlockWriter {
    let geometry: VHDXGeometry
    private let storage: any ImageStorage
    private let path: String
    private let structure: VHDXStructure
    private var pending = VHDXPendingChanges()

    init(storage: any ImageStorage, path: String, structure: VHDXStructure) {
        self.storage = storage
        self.path = path
        self.structure = structure
        geometry = structure.geometry
    }

    /// Writes `count` bytes of the virtual disk from `offset`, both multiples of the sector and inside the disk. What is
    /// written is seen when `commit()` returns, and may be seen before.
    mutating func stage(_ source: WriteSource, at offset: UInt64, count: UInt64) throws(ImageError) {
        for part in BlockParts(at: offset, count: count, blockShift: geometry.blockShift) {
            try prepare(part, from: source)
            if pending.isFull { try commit() }
        }
    }

    /// Makes visible what was staged, and waits until the medium has all of it.
    mutating func commit() throws(ImageError) {
        try pending.apply(to: storage)
    }

    /// Writes the payload of one part, and notes what will make it visible.
    private mutating func prepare(_ part: BlockParts.Part, from source: WriteSource) throws(ImageError) {
        // All that the virtual disk has of the block.
        let isWhole = part.range == 0..<geometry.length(ofBlock: part.block)
        let index = geometry.entryIndex(ofBlock: part.block)
        let entry = try entry(index)
        guard let state = entry.state else {
            throw corrupt("The state of payload block \(part.block) does not exist.", entry: index)
        }
        if state == .fullyPresent || state == .partiallyPresent,
            let problem = structure.problem(withPlaceOf: entry, block: part.block, fileSize: storage.size)
        {
            throw corrupt(problem, entry: index)
        }
        if case .zeroes = source {
            if state == .zero { return }
            let isFixed = structure.metadata.leavesBlocksAllocated && !geometry.isDifferencing
            if isWhole, !isFixed {
                pending.setEntry(VHDXBlockEntry(.zero), at: fileOffset(ofEntry: index))
                return
            }
        }
        switch state {
        case .fullyPresent:
            try writePayload(part, from: source, toBlockAt: entry.offset)
        case .partiallyPresent:
            try writePayload(part, from: source, toBlockAt: entry.offset)
            if isWhole {
                pending.setEntry(VHDXBlockEntry(.fullyPresent, offset: entry.offset), at: fileOffset(ofEntry: index))
            } else {
                let bits = try bitmapPlace(ofBlock: part.block)
                pending.setBits(VHDXBitRun(sectors(part.range), at: bits))
            }
        case .notPresent where geometry.isDifferencing && !isWhole:
            let bits = try bitmapPlace(ofBlock: part.block)
            let offset = try allocate(geometry.blockSize)
            try writePayload(part, from: source, toBlockAt: offset, isNew: true)
            // The whole of the block's bits: those of a block that is not present may be anything.
            let run = VHDXBitRun(sectors(part.range), at: bits)
            try storage.write(run.bytes(count: Int(geometry.blockSize >> geometry.sectorShift / 8)), at: bits)
            pending.setEntry(VHDXBlockEntry(.partiallyPresent, offset: offset), at: fileOffset(ofEntry: index))
        case .notPresent, .undefined, .zero, .unmapped:
            // What is not written of the block reads as zeroes, for the file grows by zeroes.
            let offset = try allocate(geometry.blockSize)
            try writePayload(part, from: source, toBlockAt: offset, isNew: true)
            pending.setEntry(VHDXBlockEntry(.fullyPresent, offset: offset), at: fileOffset(ofEntry: index))
        }
    }

    private func writePayload(
        _ part: BlockParts.Part,
        from source: WriteSource,
        toBlockAt offset: UInt64,
        isNew: Bool = false
    ) throws(ImageError) {
        switch source {
        case .bytes(let buffer):
            let piece = UnsafeRawBufferPointer(rebasing: buffer[part.inBuffer])
            try storage.write(piece, at: offset + part.range.lowerBound)
        case .zeroes:
            guard !isNew else { return }
            try storage.writeZeroes(at: offset + part.range.lowerBound, count: UInt64(part.range.count))
        }
    }

    private func sectors(_ range: Range<UInt64>) -> Range<UInt64> {
        range.lowerBound >> geometry.sectorShift..<range.upperBound >> geometry.sectorShift
    }

    /// Where the bits of a block begin in the file; makes the sector bitmap block of its chunk where there is none.
    private mutating func bitmapPlace(ofBlock block: UInt64) throws(ImageError) -> UInt64 {
        let chunk = block >> geometry.chunkRatioShift
        let index = geometry.entryIndex(ofBitmap: chunk)
        let place = fileOffset(ofEntry: index)
        var entry = try entry(index)
        switch entry.state {
        case .fullyPresent:
            if let problem = structure.problem(withPlaceOf: entry, bitmapOfChunk: chunk, fileSize: storage.size) {
                throw corrupt(problem, entry: index)
            }
        case .notPresent:
            entry = VHDXBlockEntry(.fullyPresent, offset: try allocate(VHDXFormat.bitmapBlockLength))
            pending.setNewBitmapEntry(entry, at: place)
        default:
            throw corrupt("The state of sector bitmap block \(chunk) does not exist.", entry: index)
        }
        let blockInChunk = block & ((1 << geometry.chunkRatioShift) - 1)
        return entry.offset + (blockInChunk << (geometry.blockShift - geometry.sectorShift)) / 8
    }

    /// Makes the file longer by `length`, and returns where the new part begins: a multiple of 1 MiB.
    private func allocate(_ length: UInt64) throws(ImageError) -> UInt64 {
        let unit = VHDXFormat.mebibyte
        var fileEnd = storage.size
        // The last block's tail beyond the disk's end need not be in the file, and still is the block's.
        let last = try entry(geometry.entryIndex(ofBlock: geometry.blockCount - 1))
        if last.state == .fullyPresent || last.state == .partiallyPresent {
            fileEnd = max(fileEnd, last.offset &+ geometry.blockSize)
        }
        let (end, overflow) = fileEnd.addingReportingOverflow(unit - 1 + length)
        guard !overflow else { throw ImageError(.writeFailed, "The file would become too long.", path: path) }
        let offset = (end - length) / unit * unit
        try storage.grow(to: offset + length)
        return offset
    }

    private func fileOffset(ofEntry index: UInt64) -> UInt64 {
        structure.regions.blockTable.offset + index * 8
    }

    /// The entry as it will be when what is pending was applied.
    private func entry(_ index: UInt64) throws(ImageError) -> VHDXBlockEntry {
        if let new = pending.entry(at: fileOffset(ofEntry: index)) { return new }
        let bytes = try storage.bytes(at: fileOffset(ofEntry: index), count: 8)
        return VHDXBlockEntry(word: UInt64(bytes, .littleEndian))
    }

    private func corrupt(_ message: String, entry index: UInt64) -> ImageError {
        ImageError(
            .corrupt,
            message,
            path: path,
            offset: fileOffset(ofEntry: index),
            detailCode: VHDXDetailCode.blockTableCorrupt
        )
    }
}

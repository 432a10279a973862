internal import ByteReading

/// Changes blocks, their bitmaps and their entries, in the order that `VHDWriter` describes.
struct VHDBlockWriter {
    /// What of one block is written.
    private struct Part {
        var place: BlockParts.Part
        /// The sector of the file where the block's bitmap begins; nil where there is no block yet.
        var entry: UInt32?
    }

    private static let blocksPerBatch = 1_024
    /// In bytes: what the data of a new block begins at a multiple of, as Windows does it for media with sectors of 4 KiB.
    private static let dataAlignment: UInt64 = 4_096

    private let storage: any ImageStorage
    private let path: String
    private let dynamic: VHDStructure.Dynamic
    private var geometry: VHDGeometry { dynamic.geometry }
    /// What makes payload visible that was written: kept until the payload is on the medium.
    private var pending: [(place: UInt64, bytes: [UInt8])] = []

    init(storage: any ImageStorage, path: String, dynamic: VHDStructure.Dynamic) {
        self.storage = storage
        self.path = path
        self.dynamic = dynamic
    }

    /// Writes `count` bytes of the virtual disk from `offset`, both multiples of the sector and inside the disk.
    mutating func write(
        _ source: WriteSource,
        at offset: UInt64,
        count: UInt64,
        footers: inout VHDFooterUpdater
    ) throws(ImageError) {
        var batch: [Part] = []
        for part in BlockParts(at: offset, count: count, blockShift: geometry.blockShift) {
            batch.append(Part(place: part, entry: try entry(part.block, footers: footers)))
            if batch.count == Self.blocksPerBatch {
                try write(batch, from: source, footers: &footers)
                batch.removeAll(keepingCapacity: true)
            }
        }
        if !batch.isEmpty { try write(batch, from: source, footers: &footers) }
    }

    private mutating func write(
        _ batch: [Part],
        from source: WriteSource,
        footers: inout VHDFooterUpdater
    ) throws(ImageError) {
        // What is absent in a disk without a parent reads as zeroes already.
        let leavesAbsent = source.isZeroes && !geometry.isDifferencing
        var places = try makeRoom(for: leavesAbsent ? 0 : batch.count { $0.entry == nil }, footers: &footers)[...]
        for case (let part, let entry?) in batch.map({ ($0, $0.entry) }) where !leavesAbsent {
            try setBits(of: part, at: UInt64(entry) << VHDFormat.sectorShift)
        }
        // Without a parent a sector whose bit is clear is zero, in the file too, and some readers insist on that.
        if !geometry.isDifferencing, !pending.isEmpty { try applyPending() }
        for part in batch {
            if let entry = part.entry {
                try writePayload(part, from: source, toBlockAt: UInt64(entry) << VHDFormat.sectorShift)
            } else if !leavesAbsent, let offset = places.popFirst() {
                // What is not written of the block is zero, for the file grew by zeroes.
                if !source.isZeroes { try writePayload(part, from: source, toBlockAt: offset) }
                try storage.write(bitmap(ofNew: part), at: offset)
                setEntry(UInt32(truncatingIfNeeded: offset >> VHDFormat.sectorShift), ofBlock: part.place.block)
            }
        }
        try storage.synchronize()
        if !pending.isEmpty { try applyPending() }
    }

    private mutating func applyPending() throws(ImageError) {
        for change in pending { try storage.write(change.bytes, at: change.place) }
        pending.removeAll(keepingCapacity: true)
        try storage.synchronize()
    }

    /// Makes the file longer by `count` blocks, and returns where their bitmaps are to begin.
    private func makeRoom(for count: Int, footers: inout VHDFooterUpdater) throws(ImageError) -> [UInt64] {
        guard count > 0 else { return [] }
        var end = footers.end ?? storage.size
        // The last block's tail beyond the disk's end need not be in the file, and still is the block's.
        if let last = try entry(geometry.blockCount - 1, footers: footers) {
            end = max(end, UInt64(last) << VHDFormat.sectorShift + geometry.bitmapLength + geometry.blockSize)
        }
        var places: [UInt64] = []
        for _ in 0..<count {
            let data = (end + geometry.bitmapLength + Self.dataAlignment - 1) / Self.dataAlignment * Self.dataAlignment
            places.append(data - geometry.bitmapLength)
            end = data + geometry.blockSize
        }
        guard let last = places.last, last >> VHDFormat.sectorShift < UInt64(VHDFormat.absentBlock) else {
            throw ImageError(.writeFailed, "The file would become longer than a VHD file can be.", path: path)
        }
        try footers.moveEnd(to: end, in: storage)
        return places
    }

    private func writePayload(
        _ part: Part,
        from source: WriteSource,
        toBlockAt offset: UInt64
    ) throws(ImageError) {
        let start = offset + geometry.bitmapLength + part.place.range.lowerBound
        switch source {
        case .bytes(let buffer):
            try storage.write(UnsafeRawBufferPointer(rebasing: buffer[part.place.inBuffer]), at: start)
        case .zeroes:
            try storage.writeZeroes(at: start, count: UInt64(part.place.range.count))
        }
    }

    /// With a parent, the bits of what is written; without, all of them, as Windows and QEMU do.
    private func bitmap(ofNew part: Part) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Int(geometry.bitmapLength))
        let sectors = geometry.isDifferencing ? sectors(part) : 0..<geometry.sectorsPerBlock
        SectorBits.set(sectors, in: &bytes, from: 0, .mostSignificantFirst)
        return bytes
    }

    /// Notes the bits of what is written that are not set yet.
    private mutating func setBits(of part: Part, at offset: UInt64) throws(ImageError) {
        let sectors = sectors(part)
        let first = sectors.lowerBound / 8
        let place = offset + first
        let old = try storage.bytes(at: place, count: Int((sectors.upperBound + 7) / 8 - first))
        var new = old
        SectorBits.set(sectors, in: &new, from: first * 8, .mostSignificantFirst)
        if new != old { pending.append((place, new)) }
    }

    /// Notes an entry. Entries that stand one behind the other in the file are written at once.
    private mutating func setEntry(_ entry: UInt32, ofBlock block: UInt64) {
        var bytes = BigEndianBytes(count: 4)
        bytes.set(entry, at: 0)
        let place = fileOffset(ofEntry: block)
        if let last = pending.last, last.place + UInt64(last.bytes.count) == place {
            pending[pending.count - 1].bytes += bytes.bytes
        } else {
            pending.append((place, bytes.bytes))
        }
    }

    private func sectors(_ part: Part) -> Range<UInt64> {
        part.place.range.lowerBound >> VHDFormat.sectorShift..<part.place.range.upperBound >> VHDFormat.sectorShift
    }

    private func fileOffset(ofEntry block: UInt64) -> UInt64 { dynamic.header.tableOffset + block * 4 }

    private func entry(_ block: UInt64, footers: VHDFooterUpdater) throws(ImageError) -> UInt32? {
        let place = fileOffset(ofEntry: block)
        let entry = UInt32(try storage.bytes(at: place, count: 4), .bigEndian)
        guard entry != VHDFormat.absentBlock else { return nil }
        let dataEnd = footers.end ?? storage.size
        if let problem = dynamic.problem(withPlaceOf: entry, block: block, dataEnd: dataEnd) {
            throw ImageError(
                .corrupt,
                problem,
                path: path,
                offset: place,
                detailCode: VHDDetailCode.blockTableCorrupt
            )
        }
        return entry
    }
}

/// Tells what the blocks of a disk that is not fixed hold.
struct VHDBlockReader {
    /// How many sectors are gathered at most from blocks that have less than a word of bits each.
    private static let gatheredSectorCount: UInt64 = 4_096

    private let file: ImageFile
    private let dynamic: VHDStructure.Dynamic
    private let geometry: VHDGeometry
    private let dataEnd: UInt64
    private var table: VHDBlockTable
    private var bitmap: VHDSectorBitmap
    private var gathered: [UInt64] = []

    init(file: ImageFile, dynamic: VHDStructure.Dynamic, dataEnd: UInt64) {
        self.file = file
        self.dynamic = dynamic
        self.dataEnd = dataEnd
        geometry = dynamic.geometry
        table = dynamic.table(in: file)
        bitmap = VHDSectorBitmap(file: file, geometry: geometry)
    }

    /// As `SectorMap.extent`, for a window that was checked.
    mutating func extent(
        at offset: UInt64,
        limit: UInt64,
        into mask: inout SectorMask
    ) throws(ImageError) -> LayerExtent {
        let block = offset >> geometry.blockShift
        guard let entry = try table.entry(block) else {
            let end = endOfAbsentRun(from: block, limit: limit)
            return end > offset ? .uniform(.absent, end: end) : try gather(from: offset, limit: limit, into: &mask)
        }
        guard geometry.sectorsPerBlock >= 64 else { return try gather(from: offset, limit: limit, into: &mask) }
        try load(block, entry: entry)
        let start = block << geometry.blockShift
        let end = min(limit, start + geometry.blockSize)
        let count = try bitmap.fill(
            &mask,
            from: (offset - start) >> VHDFormat.sectorShift,
            count: (end - offset) >> VHDFormat.sectorShift
        )
        return .mixed(end: offset + count << VHDFormat.sectorShift)
    }

    /// Where the run of absent blocks from `block` ends, on a multiple of 64 sectors or at the limit.
    private func endOfAbsentRun(from block: UInt64, limit: UInt64) -> UInt64 {
        let blockLimit = (limit + geometry.blockSize - 1) >> geometry.blockShift
        let end = table.endOfAbsentRun(from: block, limit: blockLimit) << geometry.blockShift
        return end >= limit ? limit : end / VHDImage.alignment * VHDImage.alignment
    }

    /// Blocks of less than 64 sectors, put together: an extent ends on a multiple of 64.
    private mutating func gather(
        from offset: UInt64,
        limit: UInt64,
        into mask: inout SectorMask
    ) throws(ImageError) -> LayerExtent {
        var end = min(limit, offset + Self.gatheredSectorCount << VHDFormat.sectorShift)
        gathered = [UInt64](repeating: 0, count: Int(Self.gatheredSectorCount / 64))
        var next = offset
        while next < end {
            let block = next >> geometry.blockShift
            let start = (next - offset) >> VHDFormat.sectorShift
            do throws(ImageError) {
                if let entry = try table.entry(block) {
                    try load(block, entry: entry)
                    let bits = bitmap.firstWord & ((1 << geometry.sectorsPerBlock) - 1)
                    gathered[Int(start / 64)] |= bits << (start % 64)
                }
            } catch {
                // What comes before a damaged entry can be told.
                guard start >= 64 else { throw error }
                end = offset + (start / 64 * 64) << VHDFormat.sectorShift
            }
            next += geometry.blockSize
        }
        try mask.fill(count: Int((end - offset) >> VHDFormat.sectorShift)) { (words, wordCount) throws(ImageError) in
            for index in 0..<wordCount { words[index] = gathered[index] }
        }
        return .mixed(end: end)
    }

    /// Makes `bitmap` that of a block that is in the file.
    private mutating func load(_ block: UInt64, entry: UInt32) throws(ImageError) {
        if let problem = dynamic.problem(withPlaceOf: entry, block: block, dataEnd: dataEnd) {
            throw file.corrupt(
                problem,
                at: table.fileOffset(ofEntry: block),
                detailCode: VHDDetailCode.blockTableCorrupt
            )
        }
        try bitmap.load(block: block, at: UInt64(entry) << VHDFormat.sectorShift)
    }
}

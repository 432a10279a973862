/// Looks at every entry of an image's block allocation table: what `image check` does, and opening for writing.
struct VHDXBlockCheck {
    /// No VHDX disk needs a longer file, even if blocks lie in it that are lost.
    private static let maximumFileSize: UInt64 = 256 << 40

    private let image: VHDXImage
    private let geometry: VHDXGeometry
    private var problems: [ImageError] = []
    /// A bit for each mebibyte of the file that a block has.
    private var used: [UInt64] = []

    init(_ image: VHDXImage) {
        self.image = image
        geometry = image.structure.geometry
    }

    /// The first `limit` problems: states that do not exist, blocks outside the file, over other structures or over each
    /// other, partially present blocks without a bitmap, bitmaps in a disk without a parent.
    consuming func problems(limit: Int) throws(ImageError) -> [ImageError] {
        let file = image.file
        guard file.size <= Self.maximumFileSize else {
            throw file.error(.resourceLimit, "The file is longer than any VHDX disk needs; it is not checked.")
        }
        used = [UInt64](repeating: 0, count: Int(file.size >> 20) / 64 + 1)
        var table = try VHDXBlockTable(file: file, region: image.structure.regions.blockTable, geometry: geometry)
        var chunk: UInt64 = 0
        while chunk < geometry.chunkCount {
            let first = chunk << geometry.chunkRatioShift
            let end = min(geometry.blockCount, first + 1 << geometry.chunkRatioShift)
            var partialBlock: UInt64?
            for block in first..<end {
                let index = geometry.entryIndex(ofBlock: block)
                let entry = try table.entry(index)
                let place = table.fileOffset(ofEntry: index)
                if checkPayload(entry, block: block, at: place) { partialBlock = partialBlock ?? block }
                guard problems.count < limit else { return problems }
            }
            let index = geometry.entryIndex(ofBitmap: chunk)
            if index < geometry.entryCount {
                let entry = try table.entry(index)
                checkBitmap(entry, chunk: chunk, at: table.fileOffset(ofEntry: index), partialBlock: partialBlock)
                guard problems.count < limit else { return problems }
            }
            chunk += 1
        }
        return problems
    }

    /// Returns whether the block is partially present and needs a bitmap.
    private mutating func checkPayload(_ entry: VHDXBlockEntry, block: UInt64, at place: UInt64) -> Bool {
        // What nearly every entry of a sparse disk is.
        if entry.word == 0 { return false }
        switch entry.state {
        case nil:
            add("The state of payload block \(block) does not exist.", at: place)
        case .partiallyPresent where !geometry.isDifferencing:
            add("Payload block \(block) is partially present, and the disk has no parent.", at: place)
        case .fullyPresent, .partiallyPresent:
            if let problem = image.structure.problem(withPlaceOf: entry, block: block, fileSize: image.file.size) {
                add(problem, at: place)
            } else if !claim(entry.offset, length: geometry.length(ofBlock: block)) {
                add("Payload block \(block) lies at offset \(entry.offset), where another block lies.", at: place)
            }
        case .notPresent, .undefined, .zero, .unmapped:
            break
        }
        return entry.state == .partiallyPresent && geometry.isDifferencing
    }

    private mutating func checkBitmap(_ entry: VHDXBlockEntry, chunk: UInt64, at place: UInt64, partialBlock: UInt64?) {
        switch entry.state {
        case .notPresent:
            guard let partialBlock else { return }
            add(
                "Payload block \(partialBlock) is partially present, and the sector bitmap block \(chunk) is not there.",
                at: place,
                detailCode: VHDXDetailCode.bitmapMismatch
            )
        case .fullyPresent where !geometry.isDifferencing:
            add("The disk has no parent, and the sector bitmap block \(chunk) is there.", at: place)
        case .fullyPresent:
            let structure = image.structure
            if let problem = structure.problem(withPlaceOf: entry, bitmapOfChunk: chunk, fileSize: image.file.size) {
                add(problem, at: place)
            } else if !claim(entry.offset, length: VHDXFormat.bitmapBlockLength) {
                add("Sector bitmap block \(chunk) lies at offset \(entry.offset), where another block lies.", at: place)
            }
        default:
            add("The state of sector bitmap block \(chunk) does not exist.", at: place)
        }
    }

    /// Takes the mebibytes of a block that lies inside the file; false where one of them is taken.
    private mutating func claim(_ offset: UInt64, length: UInt64) -> Bool {
        var isFree = true
        for unit in offset >> 20..<(offset + length + VHDXFormat.mebibyte - 1) >> 20 {
            let bit = UInt64(1) << (unit % 64)
            if used[Int(unit / 64)] & bit != 0 { isFree = false }
            used[Int(unit / 64)] |= bit
        }
        return isFree
    }

    private mutating func add(
        _ message: String,
        at place: UInt64,
        detailCode: UInt32 = VHDXDetailCode.blockTableCorrupt
    ) {
        problems.append(image.file.corrupt(message, at: place, detailCode: detailCode))
    }
}

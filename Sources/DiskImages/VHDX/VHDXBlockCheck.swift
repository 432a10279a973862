/// Looks at every entry of an image's block allocation table: what `image check` does, and opening for writing.
struct VHDXBlockCheck {
    private let image: VHDXImage
    private let geometry: VHDXGeometry
    private var problems: [ImageError] = []
    /// The mebibytes of the file that a structure or a block has.
    private var claimed = FileUnits(fileSize: 0)
    /// Places of blocks whose content does not count, and the rest of the last block behind the disk's end: another block may
    /// lie there, but the space is not lost.
    private var reserved = FileUnits(fileSize: 0)

    init(_ image: VHDXImage) {
        self.image = image
        geometry = image.structure.geometry
    }

    /// - Returns: the first `limit` problems: states that do not exist, blocks outside the file, over other structures or
    ///   over each other, partially present blocks without a bitmap, bitmaps in a disk without a parent; and how many bytes
    ///   of the file belong to nothing, which counts only where there are fewer problems.
    /// - Throws: `resourceLimit` for a file that is longer than any disk needs; `corrupt`, `readFailed`.
    consuming func findings(limit: Int) throws(ImageError) -> (problems: [ImageError], leakedBytes: UInt64) {
        let file = image.structure.file
        guard file.size <= VHDXFormat.maximumFileSize else {
            throw file.error(.resourceLimit, "The file is longer than any VHDX disk needs; it is not checked.")
        }
        claimed = FileUnits(fileSize: file.size)
        reserved = claimed
        claimed.claim(0, length: VHDXFormat.headerSectionLength)
        for range in image.structure.regions.occupied {
            claimed.claim(range.lowerBound, length: range.upperBound - range.lowerBound)
        }
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
                guard problems.count < limit else { return (problems, 0) }
            }
            let index = geometry.entryIndex(ofBitmap: chunk)
            if index < geometry.entryCount {
                let entry = try table.entry(index)
                checkBitmap(entry, chunk: chunk, at: table.fileOffset(ofEntry: index), partialBlock: partialBlock)
                guard problems.count < limit else { return (problems, 0) }
            }
            chunk += 1
        }
        return (problems, claimed.bytesInNeither(reserved))
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
            if let problem = problem(withPlaceOf: entry, block: block) {
                add(problem, at: place)
            } else if !claimed.claim(entry.offset, length: geometry.length(ofBlock: block)) {
                add("Payload block \(block) lies at offset \(entry.offset), where another block lies.", at: place)
            }
            reserved.claim(entry.offset, length: geometry.blockSize)
        case .undefined, .zero, .unmapped:
            // Such a block may keep its place in the file for later (2.5.1.1); in a block that is not present, the field has
            // no meaning.
            if let problem = problem(withPlaceOf: entry, block: block) { add(problem, at: place) }
            if entry.offset > 0 { reserved.claim(entry.offset, length: geometry.blockSize) }
        case .notPresent:
            break
        }
        return entry.state == .partiallyPresent && geometry.isDifferencing
    }

    private func problem(withPlaceOf entry: VHDXBlockEntry, block: UInt64) -> String? {
        image.structure.problem(withPlaceOf: entry, block: block, fileSize: image.structure.file.size)
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
            if let problem = structure.problem(withPlaceOf: entry, bitmapOfChunk: chunk, fileSize: structure.file.size)
            {
                add(problem, at: place)
            } else if !claimed.claim(entry.offset, length: VHDXFormat.bitmapBlockLength) {
                add("Sector bitmap block \(chunk) lies at offset \(entry.offset), where another block lies.", at: place)
            }
        default:
            add("The state of sector bitmap block \(chunk) does not exist.", at: place)
        }
    }

    private mutating func add(
        _ message: String,
        at place: UInt64,
        detailCode: UInt32 = VHDXDetailCode.blockTableCorrupt
    ) {
        problems.append(image.file.corrupt(message, at: place, detailCode: detailCode))
    }
}

/// The mebibytes of a file, each taken or not: a bit for each, 8 MiB of bits for a file of 64 TiB.
private struct FileUnits {
    private let fileSize: UInt64
    private var words: [UInt64]

    init(fileSize: UInt64) {
        self.fileSize = fileSize
        words = [UInt64](repeating: 0, count: Int(fileSize >> 20) / 64 + 1)
    }

    /// Takes the part of `length` bytes from `offset` that lies inside the file; false where some of it is taken.
    @discardableResult mutating func claim(_ offset: UInt64, length: UInt64) -> Bool {
        guard offset < fileSize else { return true }
        let end = offset + min(length, fileSize - offset)
        var isFree = true
        for unit in offset >> 20..<(end + VHDXFormat.mebibyte - 1) >> 20 {
            let bit = UInt64(1) << (unit % 64)
            if words[Int(unit / 64)] & bit != 0 { isFree = false }
            words[Int(unit / 64)] |= bit
        }
        return isFree
    }

    /// How many bytes of the file neither of both has taken.
    func bytesInNeither(_ other: FileUnits) -> UInt64 {
        let unit = VHDXFormat.mebibyte
        let unitCount = (fileSize + unit - 1) / unit
        var free = unitCount
        for (one, two) in zip(words, other.words) { free -= UInt64((one | two).nonzeroBitCount) }
        guard free > 0, fileSize % unit > 0 else { return free * unit }
        // The last unit is not a whole one.
        let last = unitCount - 1
        let isTaken = (words[Int(last / 64)] | other.words[Int(last / 64)]) >> (last % 64) & 1 == 1
        return isTaken ? free * unit : (free - 1) * unit + fileSize % unit
    }
}

extension VHDXImage: CheckedImage {
    func check(into report: inout ImageCheckReport) throws(ImageError) {
        if hasDirtyLog { report.dirtyLogs.append(file.name) }
        let findings = try VHDXBlockCheck(self).findings(limit: ImageCheckReport.maximumProblemCount)
        report.problems += findings.problems
        report.leakedBytes += findings.leakedBytes
    }
}

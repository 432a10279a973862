/// Looks at every entry of an image's block allocation table: what `image check` does, and opening for writing.
struct VHDBlockCheck {
    /// 32 MiB of places: a file of 2 TiB with blocks of 256 KiB.
    private static let maximumPlaceCount: UInt64 = 8 << 20

    private let file: ImageFile
    private let dynamic: VHDStructure.Dynamic
    private let dataEnd: UInt64
    /// How many sectors a block has in the file.
    private let length: UInt32
    /// Where the block begins that begins in each stretch of `length` sectors. Of two that begin in the same one lies over
    /// the other; and one can lie over those that begin in the stretch before or after its own. Where none begins,
    /// `absentBlock`.
    private var starts: [UInt32] = []
    private var problems: [ImageError] = []

    /// Nil for a fixed disk, which has no blocks.
    init?(_ image: VHDImage) {
        guard let dynamic = image.structure.dynamic else { return nil }
        self.dynamic = dynamic
        file = image.file
        dataEnd = image.structure.dataEnd
        let geometry = dynamic.geometry
        length = UInt32((geometry.bitmapLength + geometry.blockSize) >> VHDFormat.sectorShift)
    }

    /// - Returns: the first `limit` problems: blocks outside the file's data, over other structures or over each other; and
    ///   how many bytes of the file belong to nothing, which counts only where there are fewer problems. A gap that is
    ///   shorter than a block is there to place the next one well, and counts as used.
    /// - Throws: `resourceLimit` for a file of too many blocks; `readFailed`.
    consuming func findings(limit: Int) throws(ImageError) -> (problems: [ImageError], leakedBytes: UInt64) {
        let placeCount = file.size >> VHDFormat.sectorShift / UInt64(length) + 1
        guard placeCount <= Self.maximumPlaceCount else {
            throw file.error(.resourceLimit, "The file has too many blocks to be checked.")
        }
        starts = [UInt32](repeating: VHDFormat.absentBlock, count: Int(placeCount))
        let blockCount = dynamic.geometry.blockCount
        var table = dynamic.table(in: file)
        var block: UInt64 = 0
        while block < blockCount {
            if let entry = try table.entry(block) {
                check(entry, block: block, at: table.fileOffset(ofEntry: block))
                guard problems.count < limit else { return (problems, 0) }
                block += 1
            } else {
                block = table.endOfAbsentRun(from: block, limit: blockCount)
            }
        }
        return (problems, leakedBytes)
    }

    private mutating func check(_ entry: UInt32, block: UInt64, at place: UInt64) {
        var problem = dynamic.problem(withPlaceOf: entry, block: block, dataEnd: dataEnd)
        if problem == nil {
            let stretch = Int(entry / length)
            if isTaken(entry, stretch: stretch) {
                let offset = UInt64(entry) << VHDFormat.sectorShift
                problem = "Block \(block) lies at offset \(offset), where another block lies."
            } else {
                starts[stretch] = entry
            }
        }
        guard let problem else { return }
        problems.append(file.corrupt(problem, at: place, detailCode: VHDDetailCode.blockTableCorrupt))
    }

    /// Whether one of the blocks that begin in or beside a stretch lies over one that begins at `entry`.
    ///
    /// No slice of the places is made: writing to them while there is one would copy them all.
    private func isTaken(_ entry: UInt32, stretch: Int) -> Bool {
        for index in max(0, stretch - 1)..<min(starts.count, stretch + 2) {
            let start = starts[index]
            guard start != VHDFormat.absentBlock else { continue }
            if start > entry ? start - entry < length : entry - start < length { return true }
        }
        return false
    }

    private var leakedBytes: UInt64 {
        let blockLength = UInt64(length) << VHDFormat.sectorShift
        var leaked: UInt64 = 0
        // The table is filled up to a whole sector.
        let unit = VHDFormat.sectorSize
        var end = ((dynamic.occupied.map(\.upperBound).max() ?? 0) + unit - 1) / unit * unit
        func count(gapBefore offset: UInt64) {
            if offset > end, offset - end >= blockLength { leaked += offset - end }
            end = max(end, offset + blockLength)
        }
        for start in starts where start != VHDFormat.absentBlock {
            count(gapBefore: UInt64(start) << VHDFormat.sectorShift)
        }
        count(gapBefore: dataEnd)
        return leaked
    }
}

extension VHDImage: CheckedImage {
    func check(into report: inout ImageCheckReport) throws(ImageError) {
        // One footer is enough to read the disk, but then there is no other.
        if structure.dynamic != nil, structure.current.end == nil {
            report.problems.append(
                file.corrupt(
                    "The footer at the end of the file is missing or damaged; the copy at the start is used.",
                    at: file.size,
                    detailCode: VHDDetailCode.footerMissing
                )
            )
        }
        if structure.dynamic != nil, try VHDCurrentFooter.copy(in: file) == nil {
            report.problems.append(
                file.corrupt(
                    "The copy of the footer at the start of the file is damaged.",
                    at: 0,
                    detailCode: VHDDetailCode.footerCorrupt
                )
            )
        }
        let limit = max(0, ImageCheckReport.maximumProblemCount - report.problems.count)
        guard let findings = try VHDBlockCheck(self)?.findings(limit: limit) else { return }
        report.problems += findings.problems
        report.leakedBytes += findings.leakedBytes
    }
}

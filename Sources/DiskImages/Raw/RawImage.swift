/// A raw disk, open for reading: the file's bytes are the disk's.
///
/// What a raw disk holds is up to its guest, so nothing in it is ever looked at, and it is raw only by its name or by what
/// a child recorded. What is allocated is what the file system says (`SEEK_DATA`, `SEEK_HOLE`): a hole reads as zeroes. It
/// is asked about the window alone.
public final class RawImage: DiskImage {
    /// Raw disks have no sectors of their own; this is what every guest can use.
    static let sector: UInt64 = 512

    public let description: ImageDescription
    public let file: ImageFile

    public init(_ file: ImageFile) {
        self.file = file
        description = ImageDescription(
            format: .raw,
            diskType: .fixed,
            virtualSize: file.size,
            blockSize: 0,
            logicalSectorSize: UInt32(Self.sector),
            physicalSectorSize: UInt32(Self.sector),
            virtualDiskID: nil,
            identifier: nil,
            revision: "\(file.size) \(file.modificationTime)",
            parent: nil
        )
    }

    public func extent(
        at offset: UInt64,
        limit: UInt64,
        into mask: inout SectorMask
    ) throws(ImageError) -> LayerExtent {
        let alignment = 64 * Self.sector
        let limit = try checkedLimit(limit, from: offset, of: file)
        let data = try file.dataRun(from: offset, to: limit)
        // A hole that ends between two boundaries ends, as a uniform run, at the one before.
        let holeEnd = data.map { $0.lowerBound - $0.lowerBound % alignment } ?? limit
        if holeEnd > offset { return .uniform(.absent, end: holeEnd) }
        if let data, data.lowerBound == offset {
            let dataEnd = data.upperBound == limit ? limit : data.upperBound - data.upperBound % alignment
            if dataEnd > offset { return .uniform(.data, end: dataEnd) }
        }
        let end = min(limit, offset + UInt64(SectorMask.capacity) * Self.sector)
        try fill(&mask, from: offset, to: end, first: data)
        return .mixed(end: end)
    }

    /// Sets the bits of all sectors between `offset` and `end` that have any data.
    ///
    /// - Parameter first: the first run of data at or above `offset`.
    private func fill(
        _ mask: inout SectorMask,
        from offset: UInt64,
        to end: UInt64,
        first: Range<UInt64>?
    ) throws(ImageError) {
        let count = Int((end - offset + Self.sector - 1) / Self.sector)
        try mask.fill(count: count) { (words, wordCount) throws(ImageError) in
            for index in 0..<wordCount { words[index] = 0 }
            var next = first
            while let run = next, run.lowerBound < end {
                let runEnd = min(run.upperBound, end)
                let start = Int((run.lowerBound - offset) / Self.sector)
                Self.set(start..<Int((runEnd - offset + Self.sector - 1) / Self.sector), in: &words)
                next = runEnd < end ? try file.dataRun(from: runEnd, to: end) : nil
            }
        }
    }

    private static func set(_ bits: Range<Int>, in words: inout MutableSpan<UInt64>) {
        var bit = bits.lowerBound
        while bit < bits.upperBound {
            let end = min(bits.upperBound, (bit / 64 + 1) * 64)
            let ones = end - bit == 64 ? UInt64.max : (1 << UInt64(end - bit)) - 1
            words[bit / 64] |= ones << UInt64(bit % 64)
            bit = end
        }
    }
}

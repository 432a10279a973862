/// The sector bitmap of one block at a time: a bit is set where the sector's data is in the block.
///
/// In each byte the most significant bit is the first sector; `SectorMask` has it the other way round.
struct VHDSectorBitmap {
    private let file: ImageFile
    private let wordCount: Int
    private var block: UInt64?
    /// In the order of `SectorMask`.
    private var words: [UInt64] = []

    init(file: ImageFile, geometry: VHDGeometry) {
        self.file = file
        // At most 64 KiB: blocks have at most 256 MiB.
        wordCount = Int(geometry.bitmapLength / 8)
    }

    /// The bits of the first 64 sectors of the block that was loaded.
    var firstWord: UInt64 { words.first ?? 0 }

    /// Reads the bitmap of `block`, which begins at `offset` of the file.
    mutating func load(block: UInt64, at offset: UInt64) throws(ImageError) {
        if self.block == block { return }
        self.block = nil
        try file.readWords(at: offset, count: wordCount, .littleEndian, into: &words)
        for index in 0..<wordCount { words[index] = Self.reversingBytes(words[index]) }
        self.block = block
    }

    /// Whether the data of a sector of the block that was loaded is in the block.
    func hasData(_ sector: UInt64) -> Bool { words[Int(sector / 64)] >> (sector % 64) & 1 == 1 }

    /// Fills `mask` with `count` sectors of the block from `sector`, a multiple of 64, or as many of them as a mask takes.
    ///
    /// - Returns: how many sectors the mask describes.
    func fill(_ mask: inout SectorMask, from sector: UInt64, count: UInt64) throws(ImageError) -> UInt64 {
        let count = min(count, UInt64(SectorMask.capacity))
        let first = Int(sector / 64)
        try mask.fill(count: Int(count)) { (target, wordCount) throws(ImageError) in
            for index in 0..<wordCount { target[index] = words[first + index] }
        }
        return count
    }

    /// The word with the bits of each of its bytes in the opposite order.
    static func reversingBytes(_ word: UInt64) -> UInt64 {
        var word = word
        word = word >> 1 & 0x5555_5555_5555_5555 | (word & 0x5555_5555_5555_5555) << 1
        word = word >> 2 & 0x3333_3333_3333_3333 | (word & 0x3333_3333_3333_3333) << 2
        return word >> 4 & 0x0F0F_0F0F_0F0F_0F0F | (word & 0x0F0F_0F0F_0F0F_0F0F) << 4
    }
}

/// The sector bitmap of one chunk at a time ([MS-VHDX] 2.4), of which one page is in memory.
///
/// A bit is set where the sector's data is in this file, least significant bit first: the same order as `SectorMask`, so
/// that whole words are copied.
struct VHDXSectorBitmap {
    /// 16 KiB, in words and in the sectors they describe. A chain has many layers, each with a page.
    private static let wordsPerPage: UInt64 = 2_048
    private static let sectorsPerPage = wordsPerPage * 64

    private let file: ReplayedFile
    /// The chunk whose bitmap this is; nil before `place`.
    private(set) var chunk: UInt64?
    private var offset: UInt64 = 0
    private var page: [UInt64] = []
    private var loadedPage: UInt64?

    init(file: ReplayedFile) {
        self.file = file
    }

    /// Turns to the bitmap block of `chunk`, 1 MiB that lies at `offset` of the file.
    mutating func place(chunk: UInt64, at offset: UInt64) {
        self.chunk = chunk
        self.offset = offset
        loadedPage = nil
    }

    /// Fills `mask` with the sectors of the chunk from `sector`, a multiple of 64, to `limit` or as many of them as one
    /// call takes.
    ///
    /// - Returns: how many sectors the mask describes.
    mutating func fill(
        _ mask: inout SectorMask,
        from sector: UInt64,
        to limit: UInt64
    ) throws(ImageError) -> UInt64 {
        let pageIndex = sector / Self.sectorsPerPage
        if loadedPage != pageIndex {
            loadedPage = nil
            let place = offset + pageIndex * Self.wordsPerPage * 8
            try file.readWords(at: place, count: Int(Self.wordsPerPage), .littleEndian, into: &page)
            loadedPage = pageIndex
        }
        let count = min(limit - sector, UInt64(SectorMask.capacity), (pageIndex + 1) * Self.sectorsPerPage - sector)
        let first = Int(sector % Self.sectorsPerPage / 64)
        try mask.fill(count: Int(count)) { (words, wordCount) throws(ImageError) in
            words.copy(page[first..<(first + wordCount)])
        }
        return count
    }
}

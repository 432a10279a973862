/// The block allocation table of an image, of which one page is in memory at a time. An entry is the sector of the file at
/// which a block's bitmap begins.
struct VHDBlockTable {
    private var words: WordTable<UInt32, ImageFile>

    /// A table that the caller knows to lie inside the file.
    init(file: ImageFile, offset: UInt64, entryCount: UInt64) {
        words = WordTable(file: file, .bigEndian)
        words.place(at: offset, count: entryCount)
    }

    /// Where entry `index` lies in the file.
    func fileOffset(ofEntry index: UInt64) -> UInt64 { words.fileOffset(of: index) }

    /// The entry `index`; nil for a block that is not in the file.
    mutating func entry(_ index: UInt64) throws(ImageError) -> UInt32? {
        let entry = try words.word(index)
        return entry == VHDFormat.absentBlock ? nil : entry
    }

    /// The first entry above `index`, and below `limit`, of a block that is in the file, or the end of the page that
    /// `index` is on, or `limit`.
    func endOfAbsentRun(from index: UInt64, limit: UInt64) -> UInt64 {
        let end = min(limit, words.loadedEnd)
        var next = index + 1
        while next < end, words.loadedWord(next) == VHDFormat.absentBlock { next += 1 }
        return next
    }
}

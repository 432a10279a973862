/// A table of numbers in a file, of which one page is in memory at a time.
///
/// The block allocation table of a disk of 64 TiB has 512 MiB: no table is ever read as a whole.
struct WordTable<Word: FixedWidthInteger & BitwiseCopyable, File: StructureFile> {
    /// In bytes.
    private static var pageLength: UInt64 { 65_536 }
    private static var wordLength: UInt64 { UInt64(MemoryLayout<Word>.size) }

    private let file: File
    private let order: ByteOrder
    private var offset: UInt64 = 0
    private var count: UInt64 = 0
    private var page: [Word] = []
    private var pageStart: UInt64 = 0
    private var pageCount: UInt64 = 0

    /// A table of no words, until `place` says where it lies.
    init(file: File, _ order: ByteOrder) {
        self.file = file
        self.order = order
    }

    /// Turns to the table of `count` words at `offset`; the caller knows that all of it is inside the file.
    mutating func place(at offset: UInt64, count: UInt64) {
        self.offset = offset
        self.count = count
        pageCount = 0
    }

    /// Where the word `index` lies in the file.
    func fileOffset(of index: UInt64) -> UInt64 { offset &+ index &* Self.wordLength }

    /// Where the words that are in memory end.
    var loadedEnd: UInt64 { pageStart + pageCount }

    /// The word `index`, below the table's count.
    mutating func word(_ index: UInt64) throws(ImageError) -> Word {
        if let word = loadedWord(index) { return word }
        try load(index)
        return page[Int(index - pageStart)]
    }

    /// The word `index` where it is in memory, else nil.
    func loadedWord(_ index: UInt64) -> Word? {
        guard index >= pageStart, index - pageStart < pageCount else { return nil }
        return page[Int(index - pageStart)]
    }

    private mutating func load(_ index: UInt64) throws(ImageError) {
        guard index < count else { throw file.corrupt("The table has no entry \(index).", at: offset) }
        let wordsPerPage = Self.pageLength / Self.wordLength
        let start = index / wordsPerPage * wordsPerPage
        let length = min(wordsPerPage, count - start)
        // A page that was read in part is none.
        pageCount = 0
        try file.readWords(at: fileOffset(of: start), count: Int(length), order, into: &page)
        pageStart = start
        pageCount = length
    }
}

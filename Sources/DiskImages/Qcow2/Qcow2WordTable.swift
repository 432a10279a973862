/// A table of big-endian 64-bit words in a file, of which one page is in memory at a time.
struct Qcow2WordTable {
    /// 64 KiB.
    static let wordsPerPage: UInt64 = 8_192

    private let file: ImageFile
    private var offset: UInt64 = 0
    private var count: UInt64 = 0
    private var page: [UInt64] = []
    private var pageStart: UInt64 = 0
    private var pageCount: UInt64 = 0

    init(file: ImageFile) {
        self.file = file
    }

    /// Turns to the table of `count` words at `offset`; the caller knows that all of it is inside the file.
    mutating func place(at offset: UInt64, count: UInt64) {
        self.offset = offset
        self.count = count
        pageCount = 0
    }

    func fileOffset(of index: UInt64) -> UInt64 { offset &+ index &* 8 }

    /// Where the words that are in memory end.
    var loadedEnd: UInt64 { pageStart + pageCount }

    /// The word `index`.
    mutating func word(_ index: UInt64) throws(ImageError) -> UInt64 {
        if let word = loadedWord(index) { return word }
        try load(index)
        return page[Int(index - pageStart)]
    }

    /// The word `index` where it is in memory, else nil.
    func loadedWord(_ index: UInt64) -> UInt64? {
        guard index >= pageStart, index - pageStart < pageCount else { return nil }
        return page[Int(index - pageStart)]
    }

    private mutating func load(_ index: UInt64) throws(ImageError) {
        guard index < count else { throw file.corrupt("A table has no entry \(index).", at: offset) }
        let start = index / Self.wordsPerPage * Self.wordsPerPage
        let length = Int(min(Self.wordsPerPage, count - start))
        pageCount = 0
        try file.readWords(at: fileOffset(of: start), count: length, into: &page)
        for position in 0..<length { page[position] = page[position].byteSwapped }
        pageStart = start
        pageCount = UInt64(length)
    }
}

extension ImageFile {
    /// Whether the `length` bytes from `offset` are inside the file.
    func holds(offset: UInt64, length: UInt64) -> Bool {
        offset <= size && length <= size - offset
    }
}

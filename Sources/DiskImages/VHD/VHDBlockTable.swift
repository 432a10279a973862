/// The block allocation table of an image, of which one page is in memory at a time. An entry is the sector of the file at
/// which a block's bitmap begins.
struct VHDBlockTable {
    /// How many entries a page has: 64 KiB.
    private static let entriesPerPage: UInt64 = 16_384

    private let file: ImageFile
    private let offset: UInt64
    private let entryCount: UInt64
    private var page: [UInt32] = []
    private var pageStart: UInt64 = 0
    private var pageCount: UInt64 = 0

    /// A table that the caller knows to lie inside the file.
    init(file: ImageFile, offset: UInt64, entryCount: UInt64) {
        self.file = file
        self.offset = offset
        self.entryCount = entryCount
    }

    /// Where entry `index` lies in the file.
    func fileOffset(ofEntry index: UInt64) -> UInt64 { offset + index * 4 }

    /// The entry `index`; nil for a block that is not in the file.
    mutating func entry(_ index: UInt64) throws(ImageError) -> UInt32? {
        try load(index)
        let entry = page[Int(index - pageStart)]
        return entry == VHDFormat.absentBlock ? nil : entry
    }

    /// The first entry above `index`, and below `limit`, of a block that is in the file, or the end of the page that
    /// `index` is on, or `limit`.
    func endOfAbsentRun(from index: UInt64, limit: UInt64) -> UInt64 {
        let end = min(limit, pageStart + pageCount)
        var next = index + 1
        while next < end, page[Int(next - pageStart)] == VHDFormat.absentBlock { next += 1 }
        return next
    }

    private mutating func load(_ index: UInt64) throws(ImageError) {
        if index >= pageStart, index - pageStart < pageCount { return }
        guard index < entryCount else {
            throw file.corrupt("The block allocation table has no entry \(index).", at: offset)
        }
        let start = index / Self.entriesPerPage * Self.entriesPerPage
        let count = min(Self.entriesPerPage, entryCount - start)
        pageCount = 0
        try file.readBigEndianWords(at: fileOffset(ofEntry: start), count: Int(count), into: &page)
        pageStart = start
        pageCount = count
    }
}

extension ImageFile {
    /// Makes `words` the `count` big-endian numbers from `offset`. Its storage is kept from call to call.
    func readBigEndianWords(at offset: UInt64, count: Int, into words: inout [UInt32]) throws(ImageError) {
        guard count <= Self.maximumStructureLength / 4 else {
            throw corrupt("A structure of \(count) words is longer than any that the format has.", at: offset)
        }
        if words.count < count { words = [UInt32](repeating: 0, count: count) }
        var span = words.mutableSpan
        try span.withUnsafeMutableBytes { (buffer) throws(ImageError) in
            try read(at: offset, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<(count * 4)]))
        }
        for index in 0..<count { words[index] = UInt32(bigEndian: words[index]) }
    }
}

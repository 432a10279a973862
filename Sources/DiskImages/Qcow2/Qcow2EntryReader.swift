/// Reads entries of varying length one after the other, from a stretch of a file of which 64 KiB are in memory.
struct Qcow2EntryReader {
    private static let pageLength: UInt64 = 65_536

    private let file: ImageFile
    /// Where the next entry begins, in bytes of the file.
    private(set) var offset: UInt64
    /// Where the stretch ends.
    private let end: UInt64
    private var page: [UInt8] = []
    private var pageStart: UInt64 = 0

    /// A reader from `offset` to `end`, not below it.
    init(file: ImageFile, offset: UInt64, end: UInt64) {
        self.file = file
        self.offset = offset
        self.end = max(offset, end)
    }

    var remaining: UInt64 { end - offset }

    /// The next `count` bytes.
    ///
    /// - Throws: `corrupt` where the stretch or the file ends before.
    mutating func next(_ count: Int) throws(ImageError) -> [UInt8] {
        let count = UInt64(max(count, 0))
        try check(count)
        if offset < pageStart || offset - pageStart > UInt64(page.count)
            || count > UInt64(page.count) - (offset - pageStart)
        {
            page = try file.bytes(at: offset, count: Int(min(max(count, Self.pageLength), insideFile)))
            pageStart = offset
        }
        let first = Int(offset - pageStart)
        guard UInt64(page.count - first) >= count else {
            throw file.corrupt("The file ends before the \(count) bytes that should be here.", at: offset)
        }
        offset += count
        return Array(page[first..<first + Int(count)])
    }

    /// Passes over `count` bytes.
    mutating func skip(_ count: UInt64) throws(ImageError) {
        try check(count)
        offset += count
    }

    /// Passes over what rounds `length` up to a multiple of 8; less where the stretch ends before.
    mutating func skipPadding(after length: UInt64) {
        offset += min(remaining, (8 - length % 8) % 8)
    }

    private var insideFile: UInt64 { min(remaining, file.size - min(offset, file.size)) }

    private func check(_ count: UInt64) throws(ImageError) {
        guard count <= remaining else {
            throw file.corrupt("An entry goes beyond the end of its table.", at: offset)
        }
    }
}

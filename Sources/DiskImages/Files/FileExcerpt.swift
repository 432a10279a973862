/// Some bytes of a file as they were when it was opened, to be compared with what is there later.
struct FileExcerpt: Sendable {
    /// The most bytes that one has.
    static let maximumLength = 4_096

    private let offset: UInt64
    private let bytes: [UInt8]

    /// The bytes of `range`, as far as the file goes.
    init(of file: ImageFile, _ range: Range<UInt64>) throws(ImageError) {
        let start = min(range.lowerBound, file.size)
        let length = min(min(range.upperBound, file.size) - start, UInt64(Self.maximumLength))
        offset = start
        bytes = try file.bytes(at: start, count: Int(length))
    }

    /// Whether the file has the same bytes there now.
    func isUnchanged(in file: ImageFile) throws(ImageError) -> Bool {
        try file.bytes(at: offset, count: bytes.count).isSame(as: bytes)
    }
}

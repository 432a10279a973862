/// What the structures of an image are read from: a file as it is, or as it is with changes that are not in their places yet.
protocol StructureFile: Sendable {
    /// In bytes.
    var size: UInt64 { get }

    /// Fills `buffer` with what the file holds from `offset` on.
    ///
    /// - Throws: `corrupt` where the file ends before, `readFailed` where the operating system fails.
    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(ImageError)

    /// An error about the file.
    func error(_ code: ImageError.Code, _ message: String, at offset: UInt64?, detailCode: UInt32) -> ImageError
}

extension StructureFile {
    /// The error for a structure of the file that is damaged.
    func corrupt(_ message: String, at offset: UInt64? = nil, detailCode: UInt32 = 0) -> ImageError {
        error(.corrupt, message, at: offset, detailCode: detailCode)
    }

    /// Whether the `length` bytes from `offset` are inside the file.
    func holds(offset: UInt64, length: UInt64) -> Bool {
        offset <= size && length <= size - offset
    }

    /// Refuses what lies outside the file, whose `size` says so.
    func checkInside(offset: UInt64, count: UInt64) throws(ImageError) {
        guard holds(offset: offset, length: count) else {
            throw corrupt("The file ends before the \(count) bytes that should be here.", at: offset)
        }
    }

    /// A copy of `count` bytes from `offset`: for a structure of bounded size.
    ///
    /// - Throws: `corrupt` where the file ends before or `count` is above 1 MiB, `readFailed` where the operating system
    ///   fails.
    func bytes(at offset: UInt64, count: Int) throws(ImageError) -> [UInt8] {
        try checkLength(count, of: "bytes", unit: 1, at: offset)
        try checkInside(offset: offset, count: UInt64(count))
        var bytes = [UInt8](repeating: 0, count: count)
        var span = bytes.mutableSpan
        try span.withUnsafeMutableBytes { (buffer) throws(ImageError) in try read(at: offset, into: buffer) }
        return bytes
    }

    /// Makes `words` begin with the `count` numbers from `offset`. Its storage is kept from call to call.
    ///
    /// - Throws: as `bytes(at:count:)`.
    func readWords<Word: FixedWidthInteger & BitwiseCopyable>(
        at offset: UInt64,
        count: Int,
        _ order: ByteOrder,
        into words: inout [Word]
    ) throws(ImageError) {
        let unit = MemoryLayout<Word>.size
        try checkLength(count, of: "words", unit: unit, at: offset)
        if words.count < count { words = [Word](repeating: 0, count: count) }
        var span = words.mutableSpan
        try span.withUnsafeMutableBytes { (buffer) throws(ImageError) in
            try read(at: offset, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<(count * unit)]))
        }
        guard order != .native else { return }
        for index in 0..<count { words[index] = words[index].byteSwapped }
    }

    private func checkLength(_ count: Int, of what: String, unit: Int, at offset: UInt64) throws(ImageError) {
        guard count >= 0, count <= ImageFile.maximumStructureLength / unit else {
            throw corrupt("A structure of \(count) \(what) is longer than any that the format has.", at: offset)
        }
    }
}

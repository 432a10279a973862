/// An input of the fuzzer: a head of eight bytes, and the bytes that are put into the image.
struct FuzzInput {
    static let headLength = 8

    /// Whether checksums are made right again after the bytes were put in place.
    let repairsChecksums: Bool
    /// Where the file is cut off; nil where it is not.
    let cut: Int?
    /// What decides about the question that is asked.
    let choice: UInt32
    let body: UnsafeRawBufferPointer

    init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= Self.headLength else { return nil }
        let head = bytes.loadUnaligned(as: UInt64.self).littleEndian
        repairsChecksums = head & 1 == 0
        cut = head & 2 != 0 ? Int(head >> 8 & 0xFF_FFFF) : nil
        choice = UInt32(truncatingIfNeeded: head >> 32)
        body = UnsafeRawBufferPointer(rebasing: bytes[Self.headLength...])
    }

    /// The head of an input that only puts bytes in place.
    static let plainHead = [UInt8](repeating: 0, count: headLength)
}

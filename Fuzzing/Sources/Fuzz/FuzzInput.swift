/// An input of the fuzzer: a head of eight bytes, and the bytes that are put into the image.
struct FuzzInput {
    static let headLength = 8

    /// Whether checksums are made right again after the bytes were put in place.
    let repairsChecksums: Bool
    /// The length that the file gets; nil where it keeps its own.
    let fileLength: Int?
    /// What decides about the question that is asked.
    let choice: UInt32
    let body: UnsafeRawBufferPointer

    init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= Self.headLength else { return nil }
        let head = bytes.loadUnaligned(as: UInt64.self).littleEndian
        repairsChecksums = head & 1 == 0
        // In bytes where the file is to end somewhere in its structures, in units of 16 MiB where it is to be huge.
        let length = Int(head >> 8 & 0xFF_FFFF)
        fileLength = head & 2 != 0 ? length : head & 4 != 0 ? length << 24 : nil
        choice = UInt32(truncatingIfNeeded: head >> 32)
        body = UnsafeRawBufferPointer(rebasing: bytes[Self.headLength...])
    }

    /// The head of an input that only puts bytes in place.
    static let plainHead = [UInt8](repeating: 0, count: headLength)
}

internal import ByteReading

/// A sentence for a person, as END and GOAWAY carry it: UTF-8 of at most 4,096 bytes.
enum WireText {
    static let maximumByteCount = 4_096

    /// As much of `text` as may travel, cut between two characters.
    static func cut(_ text: String) -> Substring {
        guard text.utf8.count > maximumByteCount else { return text[...] }
        var end = text.utf8.index(text.startIndex, offsetBy: maximumByteCount)
        while end > text.startIndex, end.samePosition(in: text.unicodeScalars) == nil {
            end = text.utf8.index(before: end)
        }
        return text[..<end]
    }

    /// Reads a length of two bytes at `offset` and the text after it. Nil where it is too long or not UTF-8.
    static func decode(_ bytes: RawSpan, at offset: Int) throws(OutOfBounds) -> (text: String, end: Int)? {
        let count = Int(try bytes.bigEndian(UInt16.self, at: offset))
        guard count <= maximumByteCount else { return nil }
        let copy = try bytes.copyBytes(at: offset + 2, count: count)
        guard let text = String(validating: copy, as: UTF8.self) else { return nil }
        return (text, offset + 2 + count)
    }
}

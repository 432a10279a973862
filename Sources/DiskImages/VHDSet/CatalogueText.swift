/// The text of a document in the encodings that PowerShell writes: UTF-8 with or without a byte order mark, and UTF-16
/// with one.
enum CatalogueText {
    private static let mark8: [UInt8] = [0xEF, 0xBB, 0xBF]
    private static let mark16Little: [UInt8] = [0xFF, 0xFE]
    private static let mark16Big: [UInt8] = [0xFE, 0xFF]

    /// The text as UTF-8, without a mark; nil where it is damaged.
    static func utf8(_ bytes: [UInt8]) -> [UInt8]? {
        if bytes.starts(with: mark16Little) { return utf16(bytes.dropFirst(2), isLittleEndian: true) }
        if bytes.starts(with: mark16Big) { return utf16(bytes.dropFirst(2), isLittleEndian: false) }
        let text = bytes.starts(with: mark8) ? Array(bytes.dropFirst(3)) : bytes
        return String(validating: text, as: UTF8.self) == nil ? nil : text
    }

    private static func utf16(_ bytes: ArraySlice<UInt8>, isLittleEndian: Bool) -> [UInt8]? {
        guard bytes.count % 2 == 0 else { return nil }
        var units: [UInt16] = []
        units.reserveCapacity(bytes.count / 2)
        var first: UInt16?
        for byte in bytes {
            guard let previous = first else {
                first = UInt16(byte)
                continue
            }
            units.append(isLittleEndian ? UInt16(byte) << 8 | previous : previous << 8 | UInt16(byte))
            first = nil
        }
        return String(validating: units, as: UTF16.self).map { Array($0.utf8) }
    }

    /// Whether the first bytes of a file are those of a JSON object or array.
    static func looksLikeJSON(_ start: [UInt8]) -> Bool {
        var bytes = start[...]
        if bytes.starts(with: mark8) {
            bytes = bytes.dropFirst(3)
        } else if bytes.starts(with: mark16Little) || bytes.starts(with: mark16Big) {
            // The zero halves of the first characters are the only zero bytes that come before the first brace.
            bytes = ArraySlice(bytes.dropFirst(2).filter { $0 != 0 })
        }
        let whiteSpace: [UInt8] = [0x20, 0x09, 0x0A, 0x0D]
        let first = bytes.first { !whiteSpace.contains($0) }
        return first == UInt8(ascii: "{") || first == UInt8(ascii: "[")
    }
}

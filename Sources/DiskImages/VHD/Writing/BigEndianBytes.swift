internal import ByteReading

/// The bytes of a structure that is being made: each field at its place, most significant byte first.
struct BigEndianBytes {
    private(set) var bytes: [UInt8]

    /// - Parameter count: how many bytes; they begin as zeroes.
    init(count: Int) {
        bytes = [UInt8](repeating: 0, count: count)
    }

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    mutating func set<T: FixedWidthInteger>(_ value: T, at offset: Int) {
        let count = value.bitWidth / 8
        for index in 0..<count {
            bytes[offset + index] = UInt8(truncatingIfNeeded: value >> T((count - 1 - index) * 8))
        }
    }

    /// As VHD files store a GUID.
    mutating func set(_ guid: GUID, at offset: Int) {
        set(guid.high, at: offset)
        set(guid.low, at: offset + 8)
    }

    mutating func set(_ values: [UInt8], at offset: Int) {
        bytes.replaceSubrange(offset..<offset + values.count, with: values)
    }

    /// Puts the checksum of the whole into its field.
    mutating func setChecksum(at field: Int) throws(OutOfBounds) {
        set(try VHDFormat.checksum(bytes.span.bytes, field: field), at: field)
    }
}

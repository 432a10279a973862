/// The bytes of a structure that is being made: each field at its place, least significant byte first.
struct LittleEndianBytes {
    private(set) var bytes: [UInt8]

    /// - Parameter count: how many bytes; they begin as zeroes.
    init(count: Int) {
        bytes = [UInt8](repeating: 0, count: count)
    }

    mutating func set(_ value: some FixedWidthInteger, at offset: Int) {
        var rest = value
        for index in 0..<(value.bitWidth / 8) {
            bytes[offset + index] = UInt8(truncatingIfNeeded: rest)
            rest >>= 8
        }
    }

    /// As Windows stores a GUID ([MS-DTYP] 2.3.4.2).
    mutating func set(_ guid: GUID, at offset: Int) {
        set(UInt32(truncatingIfNeeded: guid.high >> 32), at: offset)
        set(UInt16(truncatingIfNeeded: guid.high >> 16), at: offset + 4)
        set(UInt16(truncatingIfNeeded: guid.high), at: offset + 6)
        set(guid.low.byteSwapped, at: offset + 8)
    }

    mutating func set(_ values: [UInt8], at offset: Int) {
        bytes.replaceSubrange(offset..<offset + values.count, with: values)
    }

    /// Puts the CRC-32C of the whole into its field at 4.
    mutating func setChecksum() {
        set(CRC32C.checksum(bytes.span.bytes, checksumField: 4), at: 4)
    }
}

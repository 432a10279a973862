internal import ByteReading

extension GUID {
    /// How many bytes a GUID takes in a file.
    static let length = 16

    /// A GUID as Windows stores it ([MS-DTYP] 2.3.4.2): three little-endian numbers and eight bytes.
    init(_ bytes: RawSpan, at offset: Int) throws(OutOfBounds) {
        try bytes.check(offset: offset, count: Self.length)
        let first = UInt64(try bytes.littleEndian(UInt32.self, at: offset))
        let second = UInt64(try bytes.littleEndian(UInt16.self, at: offset + 4))
        let third = UInt64(try bytes.littleEndian(UInt16.self, at: offset + 6))
        self.init(high: first << 32 | second << 16 | third, low: try bytes.bigEndian(UInt64.self, at: offset + 8))
    }
}

/// CRC-32C (Castagnoli), the checksum of VHDX's headers, region tables and log entries ([MS-VHDX] 2).
///
/// It takes eight bytes a step with one table look-up for each ("slicing by eight"): a region table is 64 KiB, and every
/// opening of an image checks two.
public struct CRC32C {
    private var state: UInt32 = 0xFFFF_FFFF

    public init() {}

    /// The checksum of the bytes so far.
    public var value: UInt32 { ~state }

    public mutating func update(_ bytes: RawSpan) {
        state = bytes.withUnsafeBytes { Self.advance(state, over: $0) }
    }

    /// The checksum of a structure whose checksum field, four bytes at `field`, counts as zero.
    static func checksum(_ bytes: RawSpan, checksumField field: Int) -> UInt32 {
        guard field >= 0, field <= bytes.byteCount - 4 else { return 0 }
        var crc = CRC32C()
        crc.update(bytes.extracting(first: field))
        let zeroes: [UInt8] = [0, 0, 0, 0]
        crc.update(zeroes.span.bytes)
        crc.update(bytes.extracting(droppingFirst: field + 4))
        return crc.value
    }

    private static func advance(_ start: UInt32, over bytes: UnsafeRawBufferPointer) -> UInt32 {
        guard let base = bytes.baseAddress else { return start }
        return tables.withUnsafeBufferPointer { tables in
            guard let table = tables.baseAddress else { return start }
            var crc = start
            var index = 0
            // Every look-up is below 2,048: eight tables of 256 entries, indexed by a table's number and a byte. The index
            // never exceeds the count, so that no sum can overflow and none is checked.
            while bytes.count &- index >= 8 {
                let stored = base.loadUnaligned(fromByteOffset: index, as: UInt64.self)
                let word = UInt64(littleEndian: stored) ^ UInt64(crc)
                crc = table[1_792 &+ Int(word & 0xFF)] ^ table[1_536 &+ Int(word >> 8 & 0xFF)]
                crc ^= table[1_280 &+ Int(word >> 16 & 0xFF)] ^ table[1_024 &+ Int(word >> 24 & 0xFF)]
                crc ^= table[768 &+ Int(word >> 32 & 0xFF)] ^ table[512 &+ Int(word >> 40 & 0xFF)]
                crc ^= table[256 &+ Int(word >> 48 & 0xFF)] ^ table[Int(word >> 56)]
                index &+= 8
            }
            while index < bytes.count {
                crc = crc >> 8 ^ table[Int((crc ^ UInt32(bytes[index])) & 0xFF)]
                index &+= 1
            }
            return crc
        }
    }

    /// Eight tables of 256 entries, one after the other: entry `b` of table `n` is the effect of byte `b` followed by `n`
    /// zero bytes.
    private static let tables: [UInt32] = {
        let reversedPolynomial: UInt32 = 0x82F6_3B78
        var tables = [UInt32](repeating: 0, count: 2_048)
        for byte in 0..<256 {
            var crc = UInt32(byte)
            for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ reversedPolynomial : crc >> 1 }
            tables[byte] = crc
        }
        for index in 256..<2_048 {
            let previous = tables[index - 256]
            tables[index] = previous >> 8 ^ tables[Int(previous & 0xFF)]
        }
        return tables
    }()
}

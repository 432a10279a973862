/// CRC-32C, bit by bit from its definition: what the checksums under test are compared with.
public enum Castagnoli {
    public static func checksum(_ bytes: [UInt8]) -> UInt32 {
        var crc: UInt32 = 0xFFFF_FFFF
        // Bare pointers and a bare loop: fast also where nothing is optimised.
        bytes.withUnsafeBufferPointer { bytes in
            effects.withUnsafeBufferPointer { effects in
                var index = 0
                while index < bytes.count {
                    crc = crc >> 8 ^ effects[Int(UInt8(truncatingIfNeeded: crc) ^ bytes[index])]
                    index += 1
                }
            }
        }
        return ~crc
    }

    private static let effects: [UInt32] = (0..<256).map { byte in
        (0..<8).reduce(UInt32(byte)) { crc, _ in crc & 1 == 1 ? crc >> 1 ^ 0x82F6_3B78 : crc >> 1 }
    }
}

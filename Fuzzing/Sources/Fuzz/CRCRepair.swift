/// Makes the CRC-32C of a structure right whose end is always zero.
///
/// What the zeroes at the end do to a checksum is a linear function of its bits, which is worked out once: so the cost of
/// a repair is that of the bytes that can change.
struct CRCRepair {
    private let used: Int
    private let signature: [UInt8]
    /// What each bit of the state before the zeroes contributes to the state after them.
    private let columns: [UInt32]

    private static let table: [UInt32] = (0..<256).map { byte in
        (0..<8).reduce(UInt32(byte)) { crc, _ in crc & 1 == 1 ? crc >> 1 ^ 0x82F6_3B78 : crc >> 1 }
    }

    /// - Parameters:
    ///   - used: how many bytes of the structure can be other than zero; its checksum is at bytes 4 to 7.
    ///   - signature: its first four bytes. Where they are others, the checksum does not count and is left alone.
    init(used: Int, length: Int, signature: String) {
        self.used = used
        self.signature = Array(signature.utf8)
        columns = (0..<32).map { bit in
            var state = UInt32(1) << UInt32(bit)
            for _ in used..<length { state = state >> 8 ^ Self.table[Int(state & 0xFF)] }
            return state
        }
    }

    /// The checksum of `count` bytes.
    static func checksum(count: Int, _ byte: (Int) -> UInt8) -> UInt32 {
        var state = UInt32.max
        for index in 0..<count { state = state >> 8 ^ table[Int((state ^ UInt32(byte(index))) & 0xFF)] }
        return ~state
    }

    func repair(_ file: MemoryFile, at offset: Int) {
        guard (0..<4).allSatisfy({ file[offset + $0] == signature[$0] }) else { return }
        let state = ~Self.checksum(count: used) { (4..<8).contains($0) ? 0 : file[offset + $0] }
        var value: UInt32 = 0
        for bit in 0..<32 where state >> UInt32(bit) & 1 == 1 { value ^= columns[bit] }
        value = ~value
        file.write((0..<4).map { UInt8(truncatingIfNeeded: value >> UInt32(8 * $0)) }, at: offset + 4)
    }
}

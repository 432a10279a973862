/// Changes entries of a file's block allocation table, to make states that no writer makes.
///
/// It finds the table by itself: the region table's first copy, the BAT's entry in it, nothing else.
public struct BlockTableEditor {
    private let file: RawFile
    private let tableOffset: UInt64
    private let chunkRatio: Int

    public init(path: String, blockSize: UInt32, sectorSize: Int) throws {
        file = try RawFile(path)
        chunkRatio = sectorSize * (1 << 23) / Int(blockSize)
        let count = try file.number(UInt32.self, at: (192 << 10) + 8)
        var offset: UInt64 = 0
        for index in 0..<UInt64(min(count, 8)) {
            let entry: UInt64 = (192 << 10) + 16 + index * 32
            // The first field of 2DC27766-F623-4200-9D64-115E9BFD4A08.
            guard try file.number(UInt32.self, at: entry) == 0x2DC2_7766 else { continue }
            offset = try file.number(UInt64.self, at: entry + 16)
        }
        guard offset > 0 else { throw RawFile.Failure(description: "\(path) has no block allocation table") }
        tableOffset = offset
    }

    /// Gives a payload block the state `state`, one of 0 to 7. The block's place in the file is kept, or removed.
    public func set(state: UInt64, block: Int, keepsPlace: Bool = false) throws {
        let place = tableOffset + UInt64(block + block / chunkRatio) * 8
        let word = keepsPlace ? try file.number(UInt64.self, at: place) & ~7 : 0
        try file.write(number: word | state, at: place)
    }

    /// The identity that a child would record: the DataWriteGuid of the header with the higher sequence number, as text.
    public static func identity(of path: String) throws -> String {
        let file = try RawFile(path)
        let headers: [UInt64] = [64 << 10, 128 << 10]
        let numbers = try headers.map { try file.number(UInt64.self, at: $0 + 8) }
        let header = headers[numbers[1] > numbers[0] ? 1 : 0]
        func hex(_ bytes: some Sequence<UInt8>) -> String {
            bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        }
        let bytes = try file.read(at: header + 32, count: 16)
        return "{" + hex(bytes[0..<4].reversed()) + "-" + hex(bytes[4..<6].reversed()) + "-"
            + hex(bytes[6..<8].reversed())
            + "-" + hex(bytes[8..<10]) + "-" + hex(bytes[10...]) + "}"
    }
}

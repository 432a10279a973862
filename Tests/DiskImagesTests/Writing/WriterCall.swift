import TestSupport

@testable import DiskImages

/// One call of a writer, which the tests of crashes record and then expect to be seen as a whole or not at all.
struct WriterCall {
    let sectors: Range<Int>
    /// What every eight bytes are written with; nil for zeroes.
    let word: UInt64?
    /// The operations on the file that it led to.
    private(set) var operations = 0..<0

    /// - Parameter number: what tells the call's data from that of the others.
    init(number: Int, sectorCount: Int, sectorsPerBlock: Int, random: inout RepeatableGenerator) {
        var range: Range<Int>
        switch Int.random(in: 0..<4, using: &random) {
        case 0:
            // Whole blocks, the last of which ends with the disk.
            let first = Int.random(in: 0..<4, using: &random)
            range = first * sectorsPerBlock..<(first + Int.random(in: 1...2, using: &random)) * sectorsPerBlock
        case 1:
            // Over the edge of a block.
            let edge = Int.random(in: 1..<4, using: &random) * sectorsPerBlock
            range = edge - Int.random(in: 1...40, using: &random)..<edge + Int.random(in: 1...40, using: &random)
        default:
            let start = Int.random(in: 0..<sectorCount - 40, using: &random)
            range = start..<start + Int.random(in: 1...40, using: &random)
        }
        sectors = range.clamped(to: 0..<sectorCount)
        word = random.chance(70) ? UInt64(number + 1) << 40 | 0xDA7A : nil
    }

    mutating func run(_ writer: any ImageWriter, of storage: RecordingStorage) throws {
        let sectorSize = Int(writer.logicalSectorSize)
        let offset = UInt64(sectors.lowerBound * sectorSize)
        let start = storage.operations.count
        if let word {
            let words = [UInt64](repeating: word, count: sectors.count * sectorSize / 8)
            try writer.write(words.span.bytes, at: offset)
        } else {
            try writer.writeZeroes(at: offset, count: UInt64(sectors.count * sectorSize))
        }
        operations = start..<storage.operations.count
    }

    /// The first sector of `found` that holds neither what it had nor what the call writes; nil where there is none.
    static func firstWrongSector(in found: [UInt64], old: [UInt64], new: [UInt64]) -> Int? {
        guard found != old, found != new else { return nil }
        return found.indices.first { found[$0] != old[$0] && found[$0] != new[$0] }
    }
}

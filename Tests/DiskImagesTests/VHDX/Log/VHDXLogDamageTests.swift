import TestSupport
import Testing

@testable import DiskImages

/// Bits of a log flipped, and wrong numbers in it behind good checksums.
///
/// An entry that is damaged is one that was not written whole. What the specification makes of it: the sequence ends before
/// it, and what the entries before say is what counts; without its first entry there is no sequence, and the file is refused.
@Suite("Damaged logs")
struct VHDXLogDamageTests {
    static let guid = GUID(high: 0x1065_1065_1065_4065, low: 0x8065_1065_1065_1065)
    static let logOffset: UInt64 = 1 << 20

    let folder: TemporaryFolder
    let path: String
    /// What the disk holds after the first entries.
    let answers: [[UInt8]]
    let entries: [LogBuilder.Entry]
    /// Where each entry begins in the log.
    let places: [Int]

    init() throws {
        folder = try TemporaryFolder()
        path = folder.file("disk.vhdx")
        entries = (0..<3).map(Self.entry)
        var places: [Int] = []
        var answers: [[UInt8]] = []
        try Self.makeImage(path)
        for count in 1...3 {
            var log = LogBuilder(position: 8_192)
            places = entries[..<count].map { Int(log.append($0)) }
            try RawFile(path).write(log.bytes, at: Self.logOffset)
            answers.append(try Self.answer(path))
        }
        self.places = places
        self.answers = answers
        #expect(Set(answers).count == 3)
    }

    /// Each of the three makes another block partially present, changes a bit of the bitmap, and clears others.
    private static func entry(_ index: Int) -> LogBuilder.Entry {
        var table = [UInt8](repeating: 0, count: 4_096)
        for block in 0...index {
            table[block * 8] = block == 1 ? 2 : 7
            table[block * 8 + 2] = UInt8(5 + block) << 4
        }
        var bits = [UInt8](repeating: 0, count: 4_096)
        for block in 0...index { bits[block * 256 + index] = 0x81 }
        let writes: [LogBuilder.Write] = [
            .data(table, at: 3 << 20), .zeroes(length: 8_192, at: (4 << 20) + 4_096), .data(bits, at: 4 << 20),
        ]
        return LogBuilder.Entry(guid: guid, sequenceNumber: 0xFFFF_FFFF + UInt64(index), tail: 8_192, writes: writes)
    }

    /// The disk without its log.
    private static func makeImage(_ path: String) throws {
        var builder = VHDXBuilder(virtualSize: 4 << 20, blockSize: 1 << 20)
        builder.setParent(GUID(high: 1, low: 1), path: "parent.vhdx")
        builder.logGUID = guid
        // The bitmap goes to 4 MiB. Its entry stands in a sector of the table that the log does not write.
        builder.blocks = [3: .init(state: 7, offset: 8 << 20, sectors: [9])]
        try builder.write(to: path)
        try RawFile(path).truncate(to: 9 << 20)
    }

    private static func answer(_ path: String) throws -> [UInt8] {
        try LayerWalk.codes(of: VHDXImage(LocalFiles().open(path)))
    }

    /// Nil for a refusal.
    private func answer() throws -> [UInt8]? {
        do { return try Self.answer(path) } catch is ImageError { return nil }
    }

    @Test func everyBitOfEveryEntryIsChecked() throws {
        let file = try RawFile(path)
        for (index, entry) in entries.enumerated() {
            // All of the header and the descriptors, and of the rest both ends of each sector and some of its middle.
            var offsets = Array(0..<64 + 3 * 32)
            for sector in 0..<entry.length / 4_096 {
                let start = sector * 4_096
                offsets += [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map { start + $0 } + (4_086..<4_096).map { start + $0 }
                offsets += stride(from: start + 200, to: start + 4_000, by: 373)
            }
            for offset in Set(offsets) {
                let place = Self.logOffset + UInt64(places[index] + offset)
                let before = try file.read(at: place, count: 1)
                for bit in [offset % 8, (offset + 5) % 8] {
                    try file.write([before[0] ^ 1 << UInt8(bit)], at: place)
                    let expected = index == 0 ? nil : answers[index - 1]
                    #expect(try answer() == expected, "bit \(bit) of byte \(offset) of entry \(index)")
                }
                try file.write(before, at: place)
            }
        }
        #expect(try answer() == answers[2])
    }

    @Test func whatLiesBetweenTheEntriesDoesNotMatter() throws {
        let file = try RawFile(path)
        let end = places[2] + entries[2].length
        var random = RepeatableGenerator(seed: 5)
        for _ in 0..<40 {
            let sector = [0, 4_096].randomElement(using: &random) ?? 0
            let place = random.chance(30) ? sector : Int.random(in: end..<1 << 20, using: &random)
            let bytes = (0..<16).map { _ in UInt8.random(in: 0...255, using: &random) }
            try file.write(Array("loge".utf8) + bytes, at: Self.logOffset + UInt64(place / 4_096 * 4_096))
            try file.write(bytes, at: Self.logOffset + UInt64(min(place, (1 << 20) - 16)))
            #expect(try answer() == answers[2])
        }
    }

    /// The header names the log and its place: with another identity or another place there is no sequence.
    @Test func whereTheHeaderNamesAnotherLog() throws {
        let file = try RawFile(path)
        for offset in 48..<80 where offset < 64 || offset >= 68 {
            let copies: [UInt64] = [64 << 10, 128 << 10]
            let before = try copies.map { try file.read(at: $0, count: 4_096) }
            for (copy, bytes) in zip(copies, before) {
                var changed = bytes
                changed[offset] ^= 0x20
                try file.write(VHDXBuilder.checksummed(changed, length: 4_096), at: copy)
            }
            #expect(try answer() == nil, "byte \(offset) of the header")
            for (copy, bytes) in zip(copies, before) { try file.write(bytes, at: copy) }
        }
    }

    @Test func cutShort() throws {
        // The last block is not there any more once the log is replayed.
        try RawFile(path).truncate(to: 8 << 20)
        #expect(try answer() == answers[2])
        for cut: UInt64 in [7 << 20, 5 << 20, 4 << 20, 3 << 20, (1 << 20) + 8_192, 1 << 20] {
            try RawFile(path).truncate(to: cut + 1)
            #expect(try answer() == nil, "cut at \(cut)")
        }
    }

    /// Wrong numbers behind a good checksum: nothing but the checks of each field stands between them and the reader.
    @Test(arguments: 0..<10) func noiseWithGoodChecksums(seed: UInt64) throws {
        var random = RepeatableGenerator(seed: seed)
        let file = try RawFile(path)
        var refusals = 0
        for _ in 0..<60 {
            var log = LogBuilder(position: 8_192)
            let target = Int.random(in: 0..<3, using: &random)
            let isHeader = random.chance(40)
            let start = isHeader ? Int.random(in: 8..<64, using: &random) : Int.random(in: 64..<160, using: &random)
            let count = Int.random(in: 1...8, using: &random)
            let kind = Int.random(in: 0..<4, using: &random)
            let noise = (0..<count).map { _ in
                [0, 0xFF, UInt8.random(in: 0...255, using: &random), UInt8.random(in: 0...3, using: &random)][kind]
            }
            for (index, entry) in entries.enumerated() {
                var entry = entry
                if index == target { entry.damage = { $0.replaceSubrange(start..<start + count, with: noise) } }
                log.append(entry)
            }
            try file.write(log.bytes, at: Self.logOffset)
            guard let answer = try answer() else {
                refusals += 1
                continue
            }
            // Content and places of writes may be anything; their number, and how long the disk is, may not.
            #expect(answer.count == answers[0].count)
            if isHeader { #expect(answers.contains(answer), "seed \(seed), bytes \(noise) at \(start)") }
        }
        #expect(refusals > 0)
    }
}

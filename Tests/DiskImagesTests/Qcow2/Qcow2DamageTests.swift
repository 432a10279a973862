import TestSupport
import Testing

@testable import DiskImages

/// Every bit that matters of small images, flipped, and the files cut short everywhere.
///
/// qcow2 has no checksums. Whatever happens, each answer is a refusal or exactly what the changed bytes say: what a model reads
/// in them that walks the tables as the specification describes them, and checks nothing.
@Suite("Damaged qcow2 images")
struct Qcow2DamageTests {
    enum Kind: String, CaseIterable {
        case plain, subclusters, version2, smallClusters
    }

    let folder: TemporaryFolder
    let path: String

    init() throws {
        folder = try TemporaryFolder()
        path = folder.file("disk.qcow2")
    }

    private func write(_ kind: Kind) throws -> Qcow2Builder.Layout {
        let clusterBits: UInt32 = kind == .smallClusters ? 9 : kind == .subclusters ? 14 : 12
        var builder = Qcow2Builder(size: 21 << UInt64(clusterBits) + 512, clusterBits: clusterBits)
        let isPlain = kind != .version2
        if kind == .version2 { builder.version = 2 }
        if kind == .subclusters { builder.incompatible = 16 }
        let data = (0..<3).map { _ in builder.reserve() }
        let all: UInt64 = kind == .subclusters ? 0xFFFF_FFFF : 0
        let zero: Qcow2Builder.Entry =
            kind == .subclusters
            ? .init(0, subclusters: 0xFFFF_FFFF << 32) : .init(isPlain ? 1 : 1 << 62 | data[2] + 9)
        let before: [Int: Qcow2Builder.Entry] = [
            0: .init(data[0], subclusters: all), 2: .init(data[1], subclusters: all & 0xFF0F), 3: zero,
            20: .init(1 << 62 | data[2]),
        ]
        builder.snapshots = [
            .init(id: "1", name: "first", size: isPlain ? builder.size : nil, entries: before),
            .init(id: "22", name: "second", size: isPlain ? 11 << UInt64(clusterBits) : nil, entries: [:]),
        ]
        builder.entries = before
        builder.entries[2] = .init(1 << 63 | builder.reserve(), subclusters: all & 0xFF | 7 << 40)
        builder.entries[20] = nil
        builder.entries[7] = zero
        builder.setData(9)
        builder.entries[9]?.subclusters = all
        if isPlain {
            var second = Qcow2Builder.Bitmap(name: "two", granularityBits: 16, bits: [1])
            second.tableEntries = [0: 1]
            builder.bitmaps = [.init(name: "one", granularityBits: UInt8(clusterBits), bits: [0, 4, 5, 20]), second]
            builder.autoclear = 1
        }
        return try builder.write(to: path)
    }

    /// All that can be asked, each answer under its name; what is refused is not there.
    private func answers() -> [String: [UInt8]] {
        var answers: [String: [UInt8]] = [:]
        do {
            let image = try Qcow2Image(LocalFiles().open(path), in: LocalFiles())
            func ask(_ name: String, _ map: () throws -> any SectorMap) throws {
                do { answers[name] = try LayerWalk.codes(of: try map()) } catch is ImageError {}
            }
            try ask("now") { image }
            let snapshots = image.recordedPoints.filter { $0.kind == .snapshot }
            for (index, point) in snapshots.enumerated() {
                try ask("snapshot \(index)") { try image.state(at: point) }
                try ask("since \(index)") { try image.changes(since: point, upTo: nil) }
            }
            if snapshots.count == 2 {
                try ask("between") { try image.changes(since: snapshots[0], upTo: snapshots[1]) }
            }
            for (index, point) in image.recordedPoints.filter({ $0.kind == .bitmap }).enumerated() {
                try ask("bitmap \(index)") { try image.changes(since: point, upTo: nil) }
            }
        } catch is ImageError {
            return [:]
        } catch {
            Issue.record("\(error)")
        }
        return answers
    }

    private func expectTrue(_ answers: [String: [UInt8]], _ what: String) throws {
        guard !answers.isEmpty else { return }
        let model = try Qcow2Model(path)
        for (name, codes) in answers {
            let number = name.split(separator: " ").last.flatMap { Int($0) } ?? 0
            let expected =
                switch name.split(separator: " ")[0] {
                case "now": try model.codes(of: model.current)
                case "snapshot": try model.codes(of: model.snapshots[number])
                case "since": try model.changes(from: model.snapshots[number], to: model.current)
                case "between": try model.changes(from: model.snapshots[0], to: model.snapshots[1])
                default: try model.marked(byBitmap: number)
                }
            #expect(codes == expected, "\(name) with \(what)")
        }
    }

    /// Where the structures lie, with what a change of them is called.
    private func structures(_ layout: Qcow2Builder.Layout, of kind: Kind) -> [(start: UInt64, length: Int)] {
        var structures: [(UInt64, Int)] = [(0, 220), (layout.l1Offset, 8)]
        // The entries that are used, and some that are not.
        let entryLength: UInt64 = kind == .subclusters ? 16 : 8
        func used(_ tables: [Int: UInt64]) -> [(UInt64, Int)] {
            tables.values.flatMap { table in
                [(0, 4), (7, 1), (9, 1), (20, 1)].map { (table + $0.0 * entryLength, $0.1 * Int(entryLength)) }
            }
        }
        structures += used(layout.l2Offsets)
        structures += layout.snapshotL1Offsets.map { ($0, 8) }
        structures += layout.snapshotL2Offsets.flatMap(used)
        structures.append((layout.snapshotTable, layout.snapshotTableLength))
        if layout.bitmapDirectory != 0 {
            structures.append((layout.bitmapDirectory, layout.bitmapDirectoryLength))
            structures += layout.bitmapTables.map { ($0, 16) }
        }
        return structures
    }

    @Test(arguments: Kind.allCases) func everyBit(kind: Kind) throws {
        let layout = try write(kind)
        let undamaged = answers()
        #expect(undamaged.count == (kind == .version2 ? 6 : 8))
        try expectTrue(undamaged, "nothing changed")
        let file = try RawFile(path)
        var refused = 0
        var different = 0
        for (start, length) in structures(layout, of: kind) {
            for offset in start..<start + UInt64(length) {
                let before = try file.read(at: offset, count: 1)
                guard before.count == 1 else { continue }
                // Of the others a part, for they differ in little.
                let bits = kind == .plain ? Set(UInt8(0)..<8) : [0, UInt8(offset % 8), 7]
                for bit in bits {
                    try file.write([before[0] ^ 1 << bit], at: offset)
                    let answers = answers()
                    if answers.count < undamaged.count { refused += 1 } else if answers != undamaged { different += 1 }
                    if answers != undamaged { try expectTrue(answers, "bit \(bit) of the byte at \(offset) flipped") }
                }
                try file.write(before, at: offset)
            }
        }
        #expect(refused > 300)
        #expect(different > 20)
        #expect(answers() == undamaged)
    }

    /// What lies beyond the cut is refused; what does not is still told.
    @Test(arguments: [Kind.smallClusters, .version2]) func everyLength(kind: Kind) throws {
        let layout = try write(kind)
        let undamaged = answers()
        let step = kind == .smallClusters ? 1 : 61
        for length in stride(from: 0, to: layout.end, by: step).reversed() {
            try RawFile(path).truncate(to: length)
            for (name, codes) in answers() { #expect(codes == undamaged[name], "\(name) of \(length) bytes") }
        }
    }

    /// Nothing that random bytes can say leads to more than an error or what they say.
    @Test(arguments: Kind.allCases) func noise(kind: Kind) throws {
        var generator = RepeatableGenerator(seed: UInt64(Kind.allCases.firstIndex(of: kind) ?? 0))
        let structures = structures(try write(kind), of: kind)
        let undamaged = answers()
        let file = try RawFile(path)
        for round in 0..<600 {
            let (start, length) = structures[Int.random(in: 0..<structures.count, using: &generator)]
            guard length > 0 else { continue }
            let offset = start + UInt64.random(in: 0..<UInt64(length), using: &generator)
            let before = try file.read(at: offset, count: Int.random(in: 1...16, using: &generator))
            let value: UInt8? = [0, 0xFF, nil].randomElement(using: &generator) ?? nil
            try file.write(before.map { _ in value ?? UInt8.random(in: 0...255, using: &generator) }, at: offset)
            let answers = answers()
            if answers != undamaged { try expectTrue(answers, "noise at \(offset), round \(round)") }
            try file.write(before, at: offset)
        }
        #expect(answers() == undamaged)
    }
}

import TestSupport
import Testing

@testable import ChangeQuery

@Suite("Ranges packed again")
struct RangePackerTests {
    private static let seeds: [UInt64] = (1...20).map { $0 &* 0x27D4_EB2F }

    @Test("The same ranges, in batches of any length, clipped to any window", arguments: seeds)
    func theSameRanges(seed: UInt64) throws {
        print("packed ranges: seed \(seed)")
        var generator = RepeatableGenerator(seed: seed)
        var ranges: [PlainRange] = []
        var position: UInt64 = 0
        for _ in 0..<20_000 {
            let start = position + 512 * .random(in: 1...40, using: &generator)
            let end = start + 512 * .random(in: 1...40, using: &generator)
            ranges.append(PlainRange(start: start, end: end, kind: generator.chance(20) ? .zero : .data))
            position = end
        }
        let start = generator.chance(30) ? 0 : UInt64.random(in: 0...position / 512, using: &generator) * 512
        let end = UInt64.random(in: start / 512...position / 512, using: &generator) * 512
        let message = generator.chance(50) ? 16 * 1024 : 256 * 1024
        var packer = try RangePacker(from: start, to: end, unit: 512, maximumMessage: message)
        let window = try Window(offset: start, length: end - start, size: end, sector: 512)
        var reader = BatchReader(window: window, unit: 512)
        try packer.prepare()
        for range in ranges where range.end > start && range.start < end {
            packer.add(from: range.start, to: range.end, kind: range.kind)
            guard packer.isFull else { continue }
            reader.read(packer.take(upTo: range.end))
            try packer.prepare()
        }
        if start < end { reader.read(packer.takeLast()) }
        let expected = ranges.compactMap { range -> PlainRange? in
            let (first, last) = (max(range.start, start), min(range.end, end))
            return first < last ? PlainRange(start: first, end: last, kind: range.kind) : nil
        }
        #expect(reader.ranges == expected)
        #expect(reader.problems == [])
        #expect(packer.totals.ranges == UInt64(expected.count))
        #expect(packer.totals.bytes == expected.reduce(0) { $0 + $1.end - $1.start })
        #expect(packer.processedEnd == end)
    }

    @Test func whatIsNoWindowOrUnit() {
        #expect(throws: QueryError.self) { try RangePacker(from: 512, to: 0, unit: 512, maximumMessage: 1 << 18) }
        for unit in [0, 3, 511] as [UInt64] {
            #expect(throws: QueryError.self) { try RangePacker(from: 0, to: 512, unit: unit, maximumMessage: 1 << 18) }
        }
    }
}

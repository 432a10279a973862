import DiskImages
import TestSupport
import Testing

@testable import ChangeQuery

@Suite("The range cursor against a model that goes sector by sector")
struct RangeCursorTests {
    /// A made-up disk: its layers, the leaf first.
    struct Disk {
        let layers: [FakeLayer]
        let sector: Int

        init(using generator: inout RepeatableGenerator) throws {
            let sector = Bool.random(using: &generator) ? 512 : 4096
            let usual = Int.random(in: 1...3000, using: &generator)
            let file = try LocalFiles().open(#filePath)
            self.sector = sector
            layers = (0..<Int.random(in: 1...6, using: &generator)).map { _ in
                // Now and then a layer is smaller or larger than the others: the disk was resized.
                let resized = Int.random(in: 0..<6, using: &generator) == 0
                return FakeLayer(
                    sectorCount: resized ? Int.random(in: 1...3000, using: &generator) : usual,
                    sector: sector,
                    sectorsPerBlock: 64 << Int.random(in: 0...4, using: &generator),
                    file: file,
                    using: &generator
                )
            }
        }
    }

    static let seeds: [UInt64] = (0..<40).map { $0 &* 0x9E37_79B9 &+ 7 }

    @Test("Changes and allocation, in windows, with granularities, in batches of any size", arguments: seeds)
    func answersAsTheModel(seed: UInt64) throws {
        var generator = RepeatableGenerator(seed: seed)
        for _ in 0..<25 {
            let disk = try Disk(using: &generator)
            let top = Int.random(in: 0..<disk.layers.count, using: &generator)
            let bottom = Int.random(in: top..<disk.layers.count, using: &generator)
            let isAllocation = Int.random(in: 0..<4, using: &generator) == 0
            let target = disk.layers[isAllocation ? 0 : top]
            let kinds: [RangeKind?] = (0..<target.sectorCount).map { index in
                isAllocation
                    ? AnswerModel.allocation(of: index, layers: disk.layers)
                    : top == bottom
                        ? nil
                        : AnswerModel.change(
                            of: index,
                            layers: Array(disk.layers[top..<bottom]),
                            baseline: Array(disk.layers[bottom...])
                        )
            }
            let granularity = disk.sector << Int.random(in: 0...12, using: &generator)
            let first = Int.random(in: 0...target.sectorCount, using: &generator)
            let last = Int.random(in: first...target.sectorCount, using: &generator)
            let question = Question(
                isAllocation
                    ? .allocation
                    : .changes(
                        since: disk.layers[bottom].description.identifier?.description ?? "",
                        target: target.description.identifier?.description
                    ),
                offset: UInt64(first * disk.sector),
                length: last == target.sectorCount && Bool.random(using: &generator)
                    ? nil : UInt64((last - first) * disk.sector),
                granularity: UInt64(granularity)
            )
            let plan = try Plan(question, about: disk.layers)
            let limits = BatchLimits(
                size: Int.random(in: 1...4000, using: &generator),
                maskSectors: 64 << Int.random(in: 0...10, using: &generator),
                count: Int.random(in: 1...2000, using: &generator),
                stripes: Int.random(in: 1...100, using: &generator),
                dryStripes: Int.random(in: 1...20, using: &generator)
            )
            // Some answers are asked for their batch now and then, at random.
            let impatience = Double.random(in: -1...0.5, using: &generator)
            let (reader, totals) = try read(plan, limits: limits) {
                Double.random(in: 0..<1, using: &generator) < impatience
            }
            let expected = AnswerModel.ranges(
                kinds,
                sector: disk.sector,
                granularity: granularity,
                window: first..<last
            )

            #expect(reader.problems == [], "seed \(seed)")
            #expect(reader.ranges == expected, "seed \(seed), \(question)")
            #expect(reader.position == plan.window.end)
            #expect(totals.ranges == UInt64(expected.count))
            for (kind, bytes) in [(RangeKind.data, totals.dataBytes), (.zero, totals.zeroBytes)] {
                #expect(bytes == expected.filter { $0.kind == kind }.reduce(0) { $0 + $1.end - $1.start })
            }
        }
    }

    @Test("Interruptions change nothing of the answer", arguments: seeds)
    func interrupted(seed: UInt64) throws {
        var generator = RepeatableGenerator(seed: seed)
        for _ in 0..<10 {
            let disk = try Disk(using: &generator)
            let since = try #require(disk.layers.last?.description.identifier).description
            let granularity = UInt64(disk.sector << Int.random(in: 0...8, using: &generator))
            let question = Question(.changes(since: since, target: nil), granularity: granularity)
            let limits = BatchLimits(
                size: Int.random(in: 1...4000, using: &generator),
                count: Int.random(in: 1...2000, using: &generator),
                stripes: Int.random(in: 1...100, using: &generator),
                dryStripes: Int.random(in: 1...20, using: &generator)
            )
            let plan = try Plan(question, about: disk.layers)
            let (whole, totals) = try read(plan, limits: limits)
            let cursor = RangeCursor(plan, limits: limits)
            var reader = BatchReader(plan)
            let likelihood = Double.random(in: 0...1, using: &generator)
            pulls: while true {
                switch try cursor.pull({
                    Double.random(in: 0..<1, using: &generator) < likelihood ? .pause : .goOn
                }) {
                case .pause: #expect(cursor.processedEnd == reader.position, "seed \(seed)")
                case .batch(let batch): reader.read(batch)
                case .end: break pulls
                }
            }
            #expect(reader.problems == [], "seed \(seed)")
            #expect(reader.ranges == whole.ranges, "seed \(seed)")
            #expect(reader.position == plan.window.end, "seed \(seed)")
            #expect(cursor.totals == totals, "seed \(seed)")
        }
    }

    @Test("Any split of the disk into windows gives the same whole", arguments: seeds)
    func windowsAddUp(seed: UInt64) throws {
        var generator = RepeatableGenerator(seed: seed)
        let disk = try Disk(using: &generator)
        let since = try #require(disk.layers.last?.description.identifier).description
        let size = disk.layers[0].sectorCount
        let granularity = UInt64(disk.sector << Int.random(in: 0...8, using: &generator))
        func answer(_ window: Range<Int>) throws -> [PlainRange] {
            let question = Question(
                .changes(since: since, target: nil),
                offset: UInt64(window.lowerBound * disk.sector),
                length: UInt64(window.count * disk.sector),
                granularity: granularity
            )
            let (reader, _) = try read(try Plan(question, about: disk.layers), limits: BatchLimits())
            #expect(reader.problems == [], "seed \(seed)")
            return reader.ranges
        }
        var parts: [PlainRange] = []
        var start = 0
        while start < size {
            let end = Int.random(in: (start + 1)...size, using: &generator)
            for range in try answer(start..<end) {
                if let last = parts.last, last.end == range.start, last.kind == range.kind {
                    parts[parts.count - 1].end = range.end
                } else {
                    parts.append(range)
                }
            }
            start = end
        }
        #expect(parts == (try answer(0..<size)), "seed \(seed)")
    }

    @Test("Where every second sector changed, the bits are sent as bits")
    func denseChangesTravelAsBits() throws {
        var generator = RepeatableGenerator(seed: 1)
        let file = try LocalFiles().open(#filePath)
        var dense: FakeLayer?
        while dense == nil {
            let layer = FakeLayer(sectorCount: 4096, sector: 512, sectorsPerBlock: 4096, file: file, using: &generator)
            if case .mixed(let sectors) = layer.blocks[0], !sectors.contains(.unmapped),
                (1501..<2500).contains(sectors.filter({ $0 == .data }).count)
            {
                dense = layer
            }
        }
        let base = FakeLayer(sectorCount: 4096, sector: 512, sectorsPerBlock: 64, file: file, using: &generator)
        let layers = [try #require(dense), base]
        let since = try #require(base.description.identifier).description
        let plan = try Plan(Question(.changes(since: since, target: nil)), about: layers)
        let (reader, _) = try read(plan, limits: BatchLimits())
        #expect(reader.bitmaps == 1)
        #expect(reader.problems == [])
        let kinds = (0..<4096).map { AnswerModel.change(of: $0, layers: [layers[0]], baseline: [base]) }
        #expect(reader.ranges == AnswerModel.ranges(kinds, sector: 512, granularity: 512, window: 0..<4096))
    }

    @Test("A client need not wait for the ranges that are near until the far ones are found")
    func rangesAreGivenBeforeALongStretchWithoutAny() throws {
        let file = try LocalFiles().open(#filePath)
        let stripe: UInt64 = 1 << 20
        var pieces: [(end: UInt64, content: ScriptedLayer.Content)] = [(stripe, .uniform(.data))]
        // What a format with small pages would say of a long run.
        for index in 2...2_000 { pieces.append((UInt64(index) * stripe, .uniform(.absent))) }
        pieces.append((2_001 * stripe, .uniform(.data)))
        let base = GUID(high: 1, low: 2)
        let layers = [
            ScriptedLayer(pieces, identifier: GUID(high: 1, low: 1), file: file),
            ScriptedLayer(.absent, size: 2_001 * stripe, identifier: base, file: file),
        ]
        let cursor = RangeCursor(try Plan(Question(.changes(since: base.description, target: nil)), about: layers))
        let first = try #require(try cursor.next())
        #expect(first.processedEnd < 100 * stripe)
        #expect(cursor.totals.ranges == 1)
        while try cursor.next() != nil {}
        #expect(cursor.totals.ranges == 2)
    }

    @Test("The end of a disk need not be a multiple of its sector", arguments: [512, 65_536] as [UInt64])
    func aDiskThatEndsInsideASector(granularity: UInt64) throws {
        let file = try LocalFiles().open(#filePath)
        let size: UInt64 = 5 * 65_536 + 1_000
        let pieces: [(end: UInt64, content: ScriptedLayer.Content)] = [
            (65_536, .uniform(.absent)), (2 * 65_536, .uniform(.data)), (4 * 65_536, .uniform(.absent)),
            (size, .bits { $0 >= 5 * 128 ? .max : 0 }),
        ]
        let layer = ScriptedLayer(pieces, identifier: nil, file: file)
        let plan = try Plan(Question(.allocation, granularity: granularity), about: [layer])
        let (reader, totals) = try read(plan, limits: BatchLimits())
        #expect(reader.problems == [])
        #expect(
            reader.ranges == [
                PlainRange(start: 65_536, end: 2 * 65_536, kind: .data),
                PlainRange(start: 5 * 65_536, end: size, kind: .data),
            ]
        )
        #expect(totals.dataBytes == 65_536 + 1_000)
        let tail = try Plan(Question(.allocation, offset: 5 * 65_536 + 512, granularity: granularity), about: [layer])
        #expect(try read(tail, limits: BatchLimits()).1.dataBytes == 488)
    }

    private func read(
        _ plan: Plan,
        limits: BatchLimits,
        until isDue: () -> Bool = { false }
    ) throws -> (BatchReader, RangeTotals) {
        let cursor = RangeCursor(plan, limits: limits)
        var reader = BatchReader(plan)
        while let batch = try cursor.next(until: isDue) {
            reader.read(batch)
            #expect(reader.position == cursor.processedEnd)
        }
        return (reader, cursor.totals)
    }
}

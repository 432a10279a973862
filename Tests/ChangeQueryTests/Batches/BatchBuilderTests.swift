import TestSupport
import Testing

@testable import ChangeQuery

@Suite("Batches")
struct BatchBuilderTests {
    private static let seeds: [UInt64] = (1...40).map { $0 &* 0x51_7CC1 }

    private func window(_ start: UInt64, _ end: UInt64, size: UInt64? = nil) throws -> Window {
        try Window(offset: start, length: end - start, size: size ?? max(end, 1 << 46), sector: 512)
    }

    /// The length of a number as a varint, from its definition: seven bits in each byte.
    private static func varint(_ number: UInt64) -> Int {
        var rest = number >> 7
        var bytes = 1
        while rest > 0 {
            bytes += 1
            rest >>= 7
        }
        return bytes
    }

    // MARK: The form

    @Test("The form is the one that is smaller on the wire", arguments: seeds)
    func theSmallerForm(seed: UInt64) throws {
        print("batch forms: seed \(seed)")
        var generator = RepeatableGenerator(seed: seed)
        for _ in 0..<20 {
            let units = Int.random(in: 1...3000, using: &generator)
            let longest = Int.random(in: 1...400, using: &generator)
            var ranges: [PlainRange] = []
            var position = UInt64.random(in: 0...UInt64(longest), using: &generator)
            var runsSize = 0
            var previous: UInt64 = 0
            while position < units {
                let end = min(position + .random(in: 1...UInt64(longest), using: &generator), UInt64(units))
                ranges.append(PlainRange(start: position * 512, end: end * 512, kind: .data))
                runsSize += Self.varint(position - previous) + Self.varint(end - position)
                previous = end
                position = end + .random(in: 1...UInt64(longest), using: &generator)
            }
            let window = try window(0, UInt64(units) * 512)
            var builder = BatchBuilder(window: window, unit: 512, limits: BatchLimits())
            try builder.prepare()
            for range in ranges { builder.add(from: range.start, to: range.end, kind: .data) }
            let batch = builder.takeLast()
            var reader = BatchReader(window: window, unit: 512)
            reader.read(batch)
            #expect(reader.ranges == ranges)
            #expect(reader.problems == [])
            #expect((reader.bitmaps == 1) == ((units + 7) / 8 < runsSize), "\(units) units, \(runsSize) bytes of runs")
        }
    }

    @Test func equalSizesTravelAsRuns() throws {
        // Two ranges of one unit: four bytes of runs, and as many for 32 units.
        for (units, isBitmap) in [(24, true), (25, false), (32, false), (33, false)] as [(UInt64, Bool)] {
            let window = try window(0, units * 512)
            var builder = BatchBuilder(window: window, unit: 512, limits: BatchLimits())
            try builder.prepare()
            builder.add(from: 512, to: 1024, kind: .data)
            builder.add(from: 2048, to: 2560, kind: .data)
            guard case .bitmap(let bits) = builder.takeLast().form else {
                #expect(!isBitmap, "\(units) units")
                continue
            }
            #expect(isBitmap, "\(units) units")
            #expect(bits == [0b1_0010, 0, 0])
        }
    }

    @Test func zeroesNeverTravelAsBits() throws {
        let window = try window(0, 64 * 512)
        var builder = BatchBuilder(window: window, unit: 512, limits: BatchLimits())
        try builder.prepare()
        for index in UInt64(0)..<32 {
            builder.add(from: index * 1024, to: index * 1024 + 512, kind: index == 9 ? .zero : .data)
        }
        guard case .runs(let columns, let zero) = builder.takeLast().form else {
            Issue.record("bits cannot tell a zero")
            return
        }
        #expect(columns.count == 32)
        #expect(zero == [0, 0b10, 0, 0])
    }

    @Test func aBatchWithoutRangesIsEmptyRuns() throws {
        var builder = BatchBuilder(window: try window(512, 4096), unit: 512, limits: BatchLimits())
        try builder.prepare()
        let batch = builder.takeLast()
        #expect(batch.processedEnd == 4096)
        guard case .runs(let columns, let zero) = batch.form else {
            Issue.record("no ranges are best told by nothing")
            return
        }
        #expect(columns.count == 0 && zero.isEmpty)
    }

    // MARK: Whole ranges

    @Test func aRangeThatMayStillGrowWaitsForTheNextBatch() throws {
        let window = try window(0, 65536)
        var builder = BatchBuilder(window: window, unit: 512, limits: BatchLimits())
        try builder.prepare()
        var reader = BatchReader(window: window, unit: 512)
        builder.add(from: 512, to: 1024, kind: .data)
        builder.add(from: 4096, to: 8192, kind: .data)
        let first = builder.take(upTo: 8192)
        #expect(first.processedEnd == 4096)
        reader.read(first)
        #expect(reader.ranges == [PlainRange(start: 512, end: 1024, kind: .data)])
        try builder.prepare()
        builder.add(from: 8192, to: 12288, kind: .data)
        let second = builder.take(upTo: 12288)
        #expect(second.processedEnd == 4096)
        reader.read(second)
        #expect(reader.ranges.count == 1)
        try builder.prepare()
        builder.add(from: 12288, to: 16384, kind: .zero)
        let third = builder.take(upTo: 16384)
        #expect(third.processedEnd == 12288)
        reader.read(third)
        #expect(reader.ranges.last == PlainRange(start: 4096, end: 12288, kind: .data))
        try builder.prepare()
        reader.read(builder.takeLast())
        #expect(reader.ranges.last == PlainRange(start: 12288, end: 16384, kind: .zero))
        #expect(reader.problems == [])
        #expect(builder.totals.ranges == 3)
    }

    @Test func aRangeThatCanGrowNoMoreIsGivenAway() throws {
        let window = try window(0, 65536)
        var builder = BatchBuilder(window: window, unit: 512, limits: BatchLimits())
        try builder.prepare()
        var reader = BatchReader(window: window, unit: 512)
        builder.add(from: 512, to: 1024, kind: .data)
        reader.read(builder.take(upTo: 1536))
        #expect(reader.position == 1536)
        #expect(reader.ranges == [PlainRange(start: 512, end: 1024, kind: .data)])
        try builder.prepare()
        builder.add(from: 1536, to: 2048, kind: .data)
        reader.read(builder.takeLast())
        #expect(reader.ranges.last == PlainRange(start: 1536, end: 2048, kind: .data))
        #expect(reader.problems == [])
    }

    @Test func aRangeOf64TiBIsOneRange() throws {
        let size: UInt64 = 64 << 40
        let window = try window(0, size)
        var builder = BatchBuilder(window: window, unit: 512, limits: BatchLimits())
        try builder.prepare()
        for position in stride(from: UInt64(0), to: size, by: 1 << 36) {
            try builder.prepare()
            builder.add(from: position, to: position + (1 << 36), kind: .data)
            #expect(builder.take(upTo: position + (1 << 36)).processedEnd == 0)
        }
        try builder.prepare()
        let batch = builder.takeLast()
        #expect(batch.processedEnd == size)
        guard case .runs(let columns, _) = batch.form else {
            Issue.record("64 TiB as bits")
            return
        }
        #expect(Array(columns.gaps) == [0])
        #expect(Array(columns.lengths) == [1 << 37])
        #expect(builder.totals.dataBytes == size && builder.totals.ranges == 1)
    }

    // MARK: Edges

    @Test func theWindowClips() throws {
        let window = try window(4096, 8192)
        var builder = BatchBuilder(window: window, unit: 512, limits: BatchLimits())
        try builder.prepare()
        var reader = BatchReader(window: window, unit: 512)
        builder.add(from: 0, to: 512, kind: .data)
        builder.add(from: 3584, to: 4096, kind: .data)
        builder.add(from: 4096, to: 4608, kind: .data)
        builder.add(from: 5120, to: 5632, kind: .zero)
        builder.add(from: 7680, to: 9216, kind: .data)
        builder.add(from: 10240, to: 10752, kind: .data)
        reader.read(builder.takeLast())
        #expect(
            reader.ranges == [
                PlainRange(start: 4096, end: 4608, kind: .data), PlainRange(start: 5120, end: 5632, kind: .zero),
                PlainRange(start: 7680, end: 8192, kind: .data),
            ]
        )
        #expect(reader.problems == [])
        #expect(builder.totals.dataBytes == 1024 && builder.totals.zeroBytes == 512)
    }

    @Test func aRangeAcrossTheWholeWindow() throws {
        var builder = BatchBuilder(window: try window(4096, 8192), unit: 4096, limits: BatchLimits())
        try builder.prepare()
        builder.add(from: 0, to: 1 << 40, kind: .zero)
        guard case .runs(let columns, let zero) = builder.takeLast().form else {
            Issue.record("a zero as bits")
            return
        }
        #expect(Array(columns.gaps) == [0] && Array(columns.lengths) == [1] && zero == [1])
        #expect(builder.totals.zeroBytes == 4096)
    }

    @Test("The disk's end need not be a multiple of the unit", arguments: [true, false])
    func theDisksEnd(isDense: Bool) throws {
        let size: UInt64 = 40 * 4096 + 512
        let window = try window(0, size, size: size)
        var builder = BatchBuilder(window: window, unit: 4096, limits: BatchLimits())
        try builder.prepare()
        var reader = BatchReader(window: window, unit: 4096)
        if isDense {
            for index in UInt64(0)..<20 { builder.add(from: index * 8192, to: index * 8192 + 4096, kind: .data) }
        }
        builder.add(from: 40 * 4096, to: size, kind: .data)
        reader.read(builder.takeLast())
        #expect(reader.problems == [])
        #expect(reader.bitmaps == (isDense ? 1 : 0))
        #expect(reader.ranges.last == PlainRange(start: 40 * 4096, end: size, kind: .data))
        #expect(builder.totals.dataBytes == (isDense ? 20 * 4096 : 0) + 512)
    }

    // MARK: Memory

    @Test func columnsAreUsedAgainOnceNobodyHoldsThem() throws {
        var builder = BatchBuilder(window: try window(0, 1 << 40), unit: 512, limits: BatchLimits())
        // Where nobody gives columns back each batch has others.
        var held: [RangeBatch] = []
        var places: Set<UnsafePointer<UInt64>?> = []
        func add(_ index: UInt64, isHeld: Bool) throws {
            try builder.prepare()
            builder.add(from: index << 20, to: index << 20 + 512, kind: .data)
            let batch = builder.take(upTo: (index + 1) << 20)
            if case .runs(let columns, _) = batch.form { places.insert(columns.gaps.baseAddress) }
            if isHeld { held.append(batch) }
        }
        for index in UInt64(0)..<20 { try add(index, isHeld: true) }
        #expect(places.count == 20)
        held = []
        places = []
        for index in UInt64(20)..<1_000 { try add(index, isHeld: false) }
        // Other answers may be made at the same time, and take some.
        #expect(places.count <= 20)
    }

    @Test func aBatchThatIsHeldDoesNotChange() throws {
        var builder = BatchBuilder(window: try window(0, 1 << 40), unit: 512, limits: BatchLimits())
        try builder.prepare()
        var held: [RangeBatch] = []
        for index in UInt64(0)..<50 {
            try builder.prepare()
            builder.add(from: index << 20 + index << 9, to: index << 20 + index << 9 + 512, kind: .data)
            held.append(builder.take(upTo: (index + 1) << 20))
        }
        for (index, batch) in held.enumerated() {
            guard case .runs(let columns, _) = batch.form else { continue }
            #expect(Array(columns.gaps) == [UInt64(index)])
            #expect(Array(columns.lengths) == [1])
        }
    }
}

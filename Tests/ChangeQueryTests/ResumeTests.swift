import DiskImages
import TestSupport
import Testing

@testable import ChangeQuery

@Suite("Answers that are taken up again where they broke off")
struct ResumeTests {
    @Test("At every batch's end the rest is what the whole would have had", arguments: RangeCursorTests.seeds)
    func everyBoundary(seed: UInt64) throws {
        print("resume: seed \(seed)")
        var generator = RepeatableGenerator(seed: seed)
        let disk = try RangeCursorTests.Disk(using: &generator)
        let since = try #require(disk.layers.last?.description.identifier).description
        let granularity = UInt64(disk.sector << Int.random(in: 0...6, using: &generator))
        let limits = BatchLimits(
            size: Int.random(in: 1...200, using: &generator),
            maskSectors: 64 << Int.random(in: 0...4, using: &generator),
            count: Int.random(in: 1...50, using: &generator),
            stripes: Int.random(in: 1...20, using: &generator),
            dryStripes: Int.random(in: 1...4, using: &generator)
        )
        func plan(from offset: UInt64, epoch: String?) throws -> Plan {
            try Plan(
                Question(
                    .changes(since: since, target: nil),
                    offset: offset,
                    granularity: granularity,
                    ifEpoch: epoch
                ),
                about: disk.layers
            )
        }
        let whole = try plan(from: 0, epoch: nil)
        let cursor = RangeCursor(whole, limits: limits)
        var reader = BatchReader(whole)
        var boundaries: [(position: UInt64, ranges: Int)] = []
        while let batch = try cursor.next() {
            reader.read(batch)
            boundaries.append((reader.position, reader.ranges.count))
        }
        #expect(reader.problems == [])
        for boundary in boundaries {
            let rest = try plan(from: boundary.position, epoch: whole.epoch.description)
            let restCursor = RangeCursor(rest, limits: limits)
            var restReader = BatchReader(rest)
            while let batch = try restCursor.next() { restReader.read(batch) }
            #expect(restReader.problems == [])
            #expect(restReader.ranges == Array(reader.ranges[boundary.ranges...]), "seed \(seed), \(boundary.position)")
        }
    }
}

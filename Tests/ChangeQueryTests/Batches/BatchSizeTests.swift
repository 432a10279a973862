import DiskImages
import TestSupport
import Testing

@testable import ChangeQuery

/// A batch fits the longest message that the client takes, whatever the disk holds: the default is 262,144 bytes, the least
/// 16,384 (`Docs/Protocol.md`, section 4).
@Suite("The size of batches")
struct BatchSizeTests {
    private static let messages = [16_384, 20_000, 65_536, 262_144]
    private let file: ImageFile

    init() throws { file = try LocalFiles().open(#filePath) }

    private static func id(_ number: UInt64) -> GUID { GUID(high: 0xABCD, low: number) }

    /// The length of the message that a batch becomes, a little over-estimated.
    private func wireSize(_ batch: RangeBatch) -> Int {
        let head = 64
        switch batch.form {
        case .bitmap(let bits): return head + bits.count
        case .runs(let columns, let zero):
            var size = head + zero.count
            for index in 0..<columns.count {
                for number in [columns.gaps[index], columns.lengths[index]] {
                    var rest = number
                    repeat {
                        size += 1
                        rest >>= 7
                    } while rest > 0
                }
            }
            return size
        }
    }

    /// The largest batch of an answer, and its ranges counted.
    private func walk(
        _ layers: [any DiskImage],
        since: GUID,
        maximumMessage: Int
    ) throws -> (largest: Int, ranges: UInt64) {
        let plan = try Plan(Question(.changes(since: since.description, target: nil)), about: layers)
        let cursor = RangeCursor(plan, maximumMessage: maximumMessage)
        var reader = BatchReader(plan)
        var largest = 0
        while let batch = try cursor.next() {
            largest = max(largest, wireSize(batch))
            reader.read(batch)
            if reader.ranges.count > 1000 { reader.ranges.removeFirst(reader.ranges.count - 1) }
        }
        #expect(reader.problems == [])
        return (largest, cursor.totals.ranges)
    }

    /// Data and zeroes take turns from sector to sector: no gaps, and a bit for the kind of each. `spoilt` sectors at the
    /// start are merged, so that the first stripe ends just below a limit.
    @Test("Data and zeroes in turn", arguments: [0, 2, 4, 64, 16384, 40000] as [UInt64])
    func dataAndZeroesInTurn(spoilt: UInt64) throws {
        let size: UInt64 = 64 << 20
        let top = ScriptedLayer(
            [(end: size, content: .bits { $0 < spoilt ? .max : 0x5555_5555_5555_5555 })],
            identifier: Self.id(1),
            file: file
        )
        let middle = ScriptedLayer(.zero, size: size, identifier: Self.id(2), file: file)
        let base = ScriptedLayer(.data, size: size, identifier: Self.id(3), file: file)
        for message in Self.messages {
            let (largest, ranges) = try walk([top, middle, base], since: Self.id(3), maximumMessage: message)
            #expect(ranges > (size / 512) - spoilt - 128)
            #expect(largest <= message)
        }
    }

    @Test("Gaps and lengths of every size", arguments: [1, 2, 3] as [UInt64])
    func gapsAndLengths(seed: UInt64) throws {
        print("batch sizes: seed \(seed)")
        var generator = RepeatableGenerator(seed: seed)
        let size: UInt64 = 1 << 30
        let words = (0..<4096).map { _ in
            generator.next() & (seed == 1 ? .max : generator.next()) & (seed == 3 ? generator.next() : .max)
        }
        let top = ScriptedLayer(
            [(end: size, content: .bits { words[Int($0 / 64 % 4096)] })],
            identifier: Self.id(1),
            file: file
        )
        let base = ScriptedLayer(.data, size: size, identifier: Self.id(3), file: file)
        for message in Self.messages {
            #expect(try walk([top, base], since: Self.id(3), maximumMessage: message).largest <= message)
        }
    }

    @Test func aWalkOf64TiBReadsOnlyWhatItsWindowNeeds() throws {
        let size: UInt64 = 64 << 40
        let top = ScriptedLayer(
            [(end: 32 << 40, content: .uniform(.absent)), (end: size, content: .uniform(.data))],
            identifier: Self.id(1),
            file: file
        )
        let base = ScriptedLayer(.absent, size: size, identifier: Self.id(3), file: file)
        let question = Question(
            .changes(since: Self.id(3).description, target: nil),
            offset: (32 << 40) - (1 << 20),
            length: 2 << 20,
            granularity: 1 << 21
        )
        let plan = try Plan(question, about: [top, base])
        let cursor = RangeCursor(plan)
        var reader = BatchReader(plan)
        while let batch = try cursor.next() { reader.read(batch) }
        #expect(reader.ranges == [PlainRange(start: 32 << 40, end: (32 << 40) + (1 << 20), kind: .data)])
        let asked = try #require(top.asked)
        // The window, and the rest of the granules at its two ends.
        #expect(asked.lowerBound >= (32 << 40) - (1 << 21) && asked.upperBound <= (32 << 40) + (1 << 21))
    }
}

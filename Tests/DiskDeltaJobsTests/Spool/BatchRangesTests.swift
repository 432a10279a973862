import ChangeQuery
import DiskDeltaProtocol
import Testing

@testable import DiskDeltaJobs

@Suite("The ranges of a batch")
struct BatchRangesTests {
    private func ranges(
        _ part: RangeAnswer.Part?,
        from position: UInt64 = 0,
        unit: UInt64 = 512,
        windowEnd: UInt64 = 1 << 20,
        size: UInt64 = 1 << 20
    ) throws -> [BatchRanges.Range] {
        var batch = try BatchRanges(
            RangeAnswer(part: part),
            from: position,
            unit: unit,
            windowEnd: windowEnd,
            size: size
        )
        var ranges: [BatchRanges.Range] = []
        while let range = try batch.next() { ranges.append(range) }
        return ranges
    }

    private func runs(_ end: UInt64, _ gaps: [UInt64], _ lengths: [UInt64], zero: [UInt8] = []) -> RangeAnswer.Part {
        .runs(
            RangeRuns(
                processedEnd: end,
                gap: UInt64Column(gaps),
                length: UInt64Column(lengths),
                zero: ByteColumn(zero)
            )
        )
    }

    private func bitmap(_ end: UInt64, _ bits: [UInt8]) -> RangeAnswer.Part {
        .bitmap(RangeBitmap(processedEnd: end, bits: ByteColumn(bits)))
    }

    @Test func runs() throws {
        let found = try ranges(runs(1 << 20, [2, 0, 5], [1, 3, 4], zero: [0b010]), from: 4096)
        #expect(
            found == [
                .init(start: 5_120, end: 5_632, kind: .data), .init(start: 5_632, end: 7_168, kind: .zero),
                .init(start: 9_728, end: 11_776, kind: .data),
            ]
        )
    }

    @Test func bits() throws {
        let found = try ranges(bitmap(20 * 512, [0b1000_0110, 0b0000_0011, 0b0000_1000]))
        #expect(
            found == [
                .init(start: 512, end: 1_536, kind: .data), .init(start: 3_584, end: 5_120, kind: .data),
                .init(start: 9_728, end: 10_240, kind: .data),
            ]
        )
        #expect(try ranges(bitmap(4096, [0])) == [])
    }

    @Test("The last range of a disk may end inside its last unit")
    func theEndOfTheDisk() throws {
        let size: UInt64 = 4096 + 700
        let end = BatchRanges.Range(start: 4096, end: size, kind: .data)
        #expect(try ranges(runs(size, [1], [1]), unit: 4096, windowEnd: size, size: size) == [end])
        #expect(try ranges(bitmap(size, [0b10]), unit: 4096, windowEnd: size, size: size) == [end])
    }

    @Test("What does not agree with itself is refused")
    func malformed() {
        let parts: [RangeAnswer.Part?] = [
            nil, .header(AnswerHeader()), runs(4096, [1], []), runs(4096, [], [1]), runs(4096, [1], [0]),
            runs(4096, [1], [8]), runs(4096, [.max], [1]), runs(4096, [1], [.max]), runs(4096, [1 << 55], [1]),
            runs(4096, [1], [1], zero: [0, 0]), runs(0, [], []), runs((1 << 20) + 512, [], []), bitmap(0, []),
            bitmap(4096, []), bitmap(4096, [1, 1]), bitmap((1 << 20) + 4096, Array(repeating: 0, count: 257)),
        ]
        for part in parts {
            #expect(throws: CallError.self, "\(String(describing: part))") { try ranges(part) }
        }
        // Not forwards.
        #expect(throws: CallError.self) { try ranges(runs(4096, [], []), from: 4096) }
        #expect(throws: CallError.self) { try ranges(bitmap(4096, [0]), from: 8192) }
    }
}

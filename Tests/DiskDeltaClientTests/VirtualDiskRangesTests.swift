import DiskDeltaProtocol
import Synchronization
import TestSupport
import Testing

@testable import DiskDeltaClient

/// The shape of the WMI method.
@Suite("Two arrays, as WMI has them", .timeLimit(.minutes(1)))
struct VirtualDiskRangesTests {
    private let answer = Answer(
        [
            ChangedRange(offset: 4_608, length: 512, kind: .data),
            ChangedRange(offset: 5_120, length: 512, kind: .zero),
            ChangedRange(offset: 8_192, length: 1_024, kind: .zero),
            ChangedRange(offset: 9_216, length: 512, kind: .data),
            ChangedRange(offset: 20_480, length: 512, kind: .data),
        ],
        size: 65_536,
        window: 4_096..<36_864,
        // Between two ranges that touch, too.
        cuts: [5_120, 9_216, 12_288]
    )
    private let request = GetVirtualDiskChangesRequest(
        path: "root/disk.vhdx",
        limitID: "L",
        byteOffset: 4_096,
        byteLength: 32_768
    )

    private func ask(_ maximum: Int, _ end: ScriptedInvoker.End? = nil) async throws -> VirtualDiskRanges {
        let invoker = ScriptedInvoker(answer.messages, end ?? .success(answer.details))
        return try await DiskDeltaClient(invoker).getVirtualDiskChanges(request, maximumRanges: maximum)
    }

    @Test func allOfIt() async throws {
        for maximum in [3, 4, .max] {
            let ranges = try await ask(maximum)
            #expect(ranges.processedByteLength == 32_768)
            #expect(ranges.changedByteOffsets == [4_608, 8_192, 20_480])
            #expect(ranges.changedByteLengths == [1_024, 1_536, 512])
            #expect(ranges.header.epoch == "e")
        }
    }

    @Test func theCapBites() async throws {
        let two = try await ask(2)
        #expect(two.changedByteOffsets == [4_608, 8_192])
        #expect(two.changedByteLengths == [1_024, 1_536])
        #expect(two.processedByteLength == 20_480 - 4_096)
        let one = try await ask(1)
        #expect(one.changedByteOffsets == [4_608])
        #expect(one.changedByteLengths == [1_024])
        #expect(one.processedByteLength == 8_192 - 4_096)
    }

    @Test func theRestIsNotAskedFor() async throws {
        let invoker = ScriptedInvoker(answer.messages, .wait)
        let ranges = try await DiskDeltaClient(invoker).getVirtualDiskChanges(request, maximumRanges: 2)
        #expect(ranges.processedByteLength == 20_480 - 4_096)
        #expect(invoker.cancellations.withLock { $0 } > 0)
    }

    @Test func aBrokenAnswerIsAnErrorAndNotAShorterAnswer() async throws {
        for count in 1...answer.messages.count {
            let invoker = ScriptedInvoker(
                Array(answer.messages.prefix(count)),
                .failure(CallError(.serverUnavailable, "reset"))
            )
            let client = DiskDeltaClient(invoker, ranges: RangeOptions(resuming: .off))
            let error = await #expect(throws: CallError.self) {
                try await client.getVirtualDiskChanges(request, maximumRanges: 100)
            }
            #expect(error?.reason == .answerIncomplete)
        }
    }

    @Test(arguments: [0, -1, .min]) func aCapThatWouldTellNothing(maximum: Int) async {
        let error = await #expect(throws: CallError.self) { try await ask(maximum) }
        #expect(error?.reason == .invalidParameter)
        let client = DiskDeltaClient(ScriptedInvoker([], .wait))
        let other = await #expect(throws: CallError.self) {
            try await client.getVirtualDiskAllocation(
                GetVirtualDiskAllocationRequest(path: "p"),
                maximumRanges: maximum
            )
        }
        #expect(other?.reason == .invalidParameter)
    }

    @Test func aWindowOfNoBytes() async throws {
        let empty = Answer([], size: 65_536, window: 4_096..<4_096)
        let client = DiskDeltaClient(ScriptedInvoker(empty.messages, .success(empty.details)))
        var request = request
        request.byteLength = 0
        let ranges = try await client.getVirtualDiskChanges(request, maximumRanges: 1)
        #expect(ranges.processedByteLength == 0)
        #expect(ranges.changedByteOffsets == [] && ranges.changedByteLengths == [])
    }

    /// Asked again for what is left, with any cap, the whole is told.
    @Test(arguments: (1...30).map { UInt64($0) &* 0x9E37_79B9 })
    func piecesMakeTheWhole(seed: UInt64) async throws {
        print("two arrays: seed \(seed)")
        var generator = RepeatableGenerator(seed: seed)
        let answer = Answer.random(using: &generator)
        guard case .header(let header) = answer.messages[0].part else { return }
        let server = WindowedInvoker(answer.ranges, header: header)
        let client = DiskDeltaClient(server)
        let end = header.windowOffset + header.windowLength
        let whole = try await client.getVirtualDiskChanges(
            GetVirtualDiskChangesRequest(
                path: "p",
                limitID: "L",
                byteOffset: header.windowOffset,
                byteLength: header.windowLength
            ),
            maximumRanges: .max
        )
        let cap = Int.random(in: 1...5, using: &generator)
        var (offsets, lengths): ([UInt64], [UInt64]) = ([], [])
        var position = header.windowOffset
        while position < end {
            let piece = try await client.getVirtualDiskChanges(
                GetVirtualDiskChangesRequest(path: "p", limitID: "L", byteOffset: position, byteLength: end - position),
                maximumRanges: cap
            )
            #expect(piece.processedByteLength > 0, "seed \(seed)")
            #expect(piece.changedByteOffsets.count <= cap, "seed \(seed)")
            offsets += piece.changedByteOffsets
            lengths += piece.changedByteLengths
            position += piece.processedByteLength
        }
        #expect(offsets == whole.changedByteOffsets, "seed \(seed)")
        #expect(lengths == whole.changedByteLengths, "seed \(seed)")
        #expect(lengths.reduce(0, +) == answer.ranges.reduce(0) { $0 + $1.length })
    }
}

import DiskDeltaProtocol
import Synchronization
import Testing

@testable import DiskDeltaClient

@Suite("Range streams", .timeLimit(.minutes(1)))
struct RangeStreamTests {
    private let answer = Answer(
        [
            ChangedRange(offset: 512, length: 512, kind: .data), ChangedRange(offset: 2_048, length: 512, kind: .zero),
            ChangedRange(offset: 9_216, length: 1_024, kind: .data),
        ],
        size: 65_536,
        window: 0..<65_536,
        cuts: [1_536, 8_192, 16_384]
    )

    private func stream(_ invoker: ScriptedInvoker) async throws -> RangeStream {
        // What becomes of answers that break, where they are not resumed.
        let client = DiskDeltaClient(invoker, ranges: RangeOptions(resuming: .off))
        return try await client.changes(of: "root/disk.vhdx", since: "{a}")
    }

    private func complete() -> ScriptedInvoker { ScriptedInvoker(answer.messages, .success(answer.details)) }

    @Test func batchesAndTotals() async throws {
        let stream = try await stream(complete())
        #expect(stream.header.size == 65_536)
        #expect(await stream.totals == nil)
        var ranges: [ChangedRange] = []
        var positions: [UInt64] = []
        for try await batch in stream {
            #expect(await stream.totals == nil)
            #expect(await stream.position == batch.processedEnd)
            ranges += batch.ranges
            positions.append(batch.processedEnd)
        }
        #expect(ranges == answer.ranges)
        #expect(positions == [1_536, 8_192, 16_384, 65_536])
        #expect(await stream.totals == answer.details.totals)
        #expect(await stream.position == 65_536)
    }

    @Test func singleRanges() async throws {
        let stream = try await stream(complete())
        var ranges: [ChangedRange] = []
        for try await range in stream.ranges { ranges.append(range) }
        #expect(ranges == answer.ranges)
        #expect(await stream.totals == answer.details.totals)
    }

    @Test func theEndIsToldAgain() async throws {
        var iterator = try await stream(complete()).makeAsyncIterator()
        while try await iterator.next() != nil {}
        #expect(try await iterator.next() == nil)
    }

    @Test func theCallIsTheOneAskedFor() async throws {
        let invoker = complete()
        _ = try await stream(invoker)
        #expect(invoker.paths.withLock { $0 } == ["diskdelta.v1.ImageManagement/GetVirtualDiskChanges"])
        guard case .header(var header) = answer.messages[0].part else { return }
        header.basis = .allocated
        header.since = ""
        let other = ScriptedInvoker([RangeAnswer(part: .header(header))], .wait)
        _ = try await DiskDeltaClient(other).allocation(GetVirtualDiskAllocationRequest(path: "root/disk.vhdx"))
        #expect(other.paths.withLock { $0 } == ["diskdelta.v1.ImageManagement/GetVirtualDiskAllocation"])
    }

    @Test func theWindowAskedForIsTheWindowExpected() async throws {
        let client = DiskDeltaClient(complete())
        for request in [
            GetVirtualDiskChangesRequest(path: "root/disk.vhdx", limitID: "L", byteOffset: 512),
            GetVirtualDiskChangesRequest(path: "root/disk.vhdx", limitID: "L", byteLength: 512),
        ] {
            let error = await #expect(throws: CallError.self) { try await client.changes(request) }
            #expect(error?.reason == .answerInvalid)
        }
        let whole = GetVirtualDiskChangesRequest(path: "root/disk.vhdx", limitID: "L", byteLength: .max)
        #expect(try await client.changes(whole).header.windowLength == 65_536)
    }

    // MARK: Ends that are no success

    /// Reads to the end, which must be an error.
    private func failure(_ stream: RangeStream) async -> (ranges: Int, error: CallError?) {
        var ranges = 0
        do throws(CallError) {
            for try await batch in stream { ranges += batch.count }
            Issue.record("the answer is taken for complete")
            return (ranges, nil)
        } catch {
            return (ranges, error)
        }
    }

    @Test func aConnectionThatBreaksAfterTheHeaderLeavesAnIncompleteAnswer() async throws {
        for count in 1...answer.messages.count {
            let invoker = ScriptedInvoker(
                Array(answer.messages.prefix(count)),
                .failure(CallError(.serverUnavailable, "the connection was reset"))
            )
            let stream = try await stream(invoker)
            let (_, error) = await failure(stream)
            #expect(error?.reason == .answerIncomplete)
            #expect(error?.status == .unavailable)
            #expect(error?.resumeOffset == [0, 1_536, 8_192, 16_384, 65_536][count - 1])
            #expect(error?.message.contains("the connection was reset") == true)
            #expect(await stream.totals == nil)
            #expect(await stream.position == error?.resumeOffset)
        }
    }

    @Test func aConnectionThatBreaksBeforeTheHeaderIsAServerThatIsNotThere() async {
        let invoker = ScriptedInvoker([], .failure(CallError(.serverUnavailable, "refused")))
        let error = await #expect(throws: CallError.self) { try await stream(invoker) }
        #expect(error?.reason == .serverUnavailable)
    }

    @Test(
        "Any other error keeps its reason",
        arguments: [
            Reason.deadline, .cancelled, .imageCorrupt, .epochChanged, .readFailed, .resourceLimit, .answerInvalid,
        ]
    )
    func otherErrors(reason: Reason) async throws {
        // The offset that a server tells is not believed.
        let told = CallError(reason, "so it is", resumeOffset: 60_000)
        let stream = try await stream(ScriptedInvoker(Array(answer.messages.prefix(3)), .failure(told)))
        let (ranges, error) = await failure(stream)
        #expect(ranges == 2)
        #expect(error?.reason == reason)
        #expect(error?.resumeOffset == 8_192)
        #expect(await stream.totals == nil)
    }

    @Test func theSameErrorIsThrownAgain() async throws {
        let invoker = ScriptedInvoker(
            Array(answer.messages.prefix(2)),
            .failure(CallError(.serverUnavailable, "reset"))
        )
        var iterator = try await stream(invoker).makeAsyncIterator()
        #expect(try await iterator.next()?.count == 1)
        for _ in 0..<3 {
            let error = await #expect(throws: CallError.self) { try await iterator.next() }
            #expect(error?.reason == .answerIncomplete)
        }
    }

    @Test func anEndBeforeTheEndOfTheWindowIsNoEnd() async throws {
        for count in 1..<answer.messages.count {
            let invoker = ScriptedInvoker(Array(answer.messages.prefix(count)), .success(answer.details))
            let stream = try await stream(invoker)
            let (_, error) = await failure(stream)
            #expect(error?.reason == .answerInvalid)
            #expect(await stream.totals == nil)
        }
    }

    @Test func anAnswerWithoutAHeader() async {
        for messages in [[], Array(answer.messages.dropFirst()), [RangeAnswer()]] {
            let invoker = ScriptedInvoker(messages, .success(answer.details))
            let error = await #expect(throws: CallError.self) { try await stream(invoker) }
            #expect(error?.reason == .answerInvalid)
        }
    }

    @Test func anInvalidAnswerCancelsTheCall() async throws {
        let invoker = ScriptedInvoker(answer.messages + [answer.messages[0]], .wait)
        let stream = try await stream(invoker)
        let (ranges, error) = await failure(stream)
        #expect(ranges == 3)
        #expect(error?.reason == .answerInvalid)
        #expect(invoker.cancellations.withLock { $0 } > 0)
    }

    // MARK: Leaving early

    @Test func leavingTheLoopCancelsTheCall() async throws {
        let invoker = ScriptedInvoker(answer.messages, .wait)
        func readOne() async throws {
            for try await _ in try await stream(invoker) {
                #expect(invoker.cancellations.withLock { $0 } == 0)
                break
            }
        }
        try await readOne()
        #expect(invoker.cancellations.withLock { $0 } == 1)
    }

    @Test func leavingTheLoopOverSingleRangesCancelsTheCall() async throws {
        let invoker = ScriptedInvoker(answer.messages, .wait)
        func readOne() async throws {
            for try await range in try await stream(invoker).ranges {
                #expect(range == answer.ranges.first)
                #expect(invoker.cancellations.withLock { $0 } == 0)
                break
            }
        }
        try await readOne()
        #expect(invoker.cancellations.withLock { $0 } == 1)
    }

    @Test func aStreamThatIsNeverReadIsCancelled() async throws {
        let invoker = ScriptedInvoker(answer.messages, .wait)
        _ = try await stream(invoker)
        #expect(invoker.cancellations.withLock { $0 } == 1)
    }

    @Test func cancelEndsTheLoop() async throws {
        let invoker = ScriptedInvoker(answer.messages, .wait)
        let stream = try await stream(invoker)
        var batches = 0
        let error = await #expect(throws: CallError.self) {
            for try await _ in stream {
                batches += 1
                if batches == 4 { stream.cancel() }
            }
        }
        #expect(batches == 4)
        #expect(error?.reason == .cancelled)
        #expect(error?.resumeOffset == 65_536)
        #expect(await stream.totals == nil)
    }

    @Test func cancellingTheTaskEndsTheLoop() async throws {
        let invoker = ScriptedInvoker(Array(answer.messages.prefix(2)), .wait)
        let stream = try await stream(invoker)
        let reader = Task { () async -> CallError? in
            do throws(CallError) {
                for try await _ in stream {}
                return nil
            } catch {
                return error
            }
        }
        while await stream.position < 1_536 { await Task.yield() }
        reader.cancel()
        #expect(await reader.value?.reason == .cancelled)
    }
}

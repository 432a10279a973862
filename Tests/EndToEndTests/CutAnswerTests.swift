import DiskDeltaClient
import DiskDeltaProtocol
import Foundation
import TestSupport
import Testing

/// Answers that a real server gave, played back in part or with a wrong bit: no client ever takes one for complete.
@Suite("Broken answers", .enabled(if: Programs.areBuilt, Programs.absence), .timeLimit(.minutes(5)))
struct CutAnswerTests {
    private let folder: TemporaryFolder
    private let expected: [ChangedRange]
    private let answer: RecordedAnswer

    init() throws {
        let folder = try TemporaryFolder()
        self.folder = folder
        expected = try LargeAnswers.writeShort(in: folder)
        let server = try RunningServer.start(root: folder)
        answer = try RecordedAnswer(LargeAnswers.short, at: server.tcp)
        #expect(try server.stop().status == 0)
    }

    // MARK: What a client makes of bytes

    /// What the Swift client makes of each of `scripts`: nil for success, and the ranges that it handed out.
    private func readInSwift(
        _ scripts: [ScriptedListener.Script],
        _ request: GetVirtualDiskChangesRequest = LargeAnswers.short,
        _ judge: (_ index: Int, _ error: (any Error)?, _ ranges: [ChangedRange]) -> Void
    ) async throws {
        var options = ClientOptions()
        // What a client makes of one connection; `ResumedAnswerTests` is about the next.
        options.ranges.resuming = .off
        for index in scripts.indices {
            // Each has a listener of its own: a call that was not begun may be made again, and must find the same.
            let listener = try ScriptedListener([scripts[index]])
            var ranges: [ChangedRange] = []
            do {
                ranges = try await withDiskDeltaClient(to: listener.address, options: options) { client in
                    let stream = try await client.changes(request)
                    for try await batch in stream { ranges += batch.ranges }
                    #expect(await stream.totals != nil)
                    return ranges
                }
                judge(index, nil, ranges)
            } catch {
                judge(index, error, ranges)
            }
        }
    }

    /// Runs a program against each of `scripts`, some beside each other, and gives what came out of each.
    private func run(
        _ program: BuiltProgram,
        _ scripts: [ScriptedListener.Script],
        arguments: @Sendable (_ address: String) -> [String]
    ) throws -> [BuiltProgram.Outcome] {
        let share = 64
        let shares = stride(from: 0, to: scripts.count, by: share).map {
            Array(scripts[$0..<min($0 + share, scripts.count)])
        }
        let results = Results(count: shares.count)
        withoutActuallyEscaping(arguments) { arguments in
            DispatchQueue.concurrentPerform(iterations: shares.count) { index in
                results.set(
                    index,
                    Result {
                        try shares[index].map { script in
                            let listener = try ScriptedListener([script])
                            return try program.run(arguments(listener.address), in: folder)
                        }
                    }
                )
            }
        }
        return try results.all()
    }

    private func listChanges(_ scripts: [ScriptedListener.Script]) throws -> [BuiltProgram.Outcome] {
        // Not resumed: how it ends is what is looked at.
        try run(Programs.listChanges, scripts) { [$0, LargeAnswers.short.path, LargeAnswers.short.limitID, "0"] }
    }

    private func diskdelta(_ scripts: [ScriptedListener.Script]) throws -> [BuiltProgram.Outcome] {
        try run(Programs.diskdelta, scripts) {
            ["--server", $0, "--patience", "0s"]
                + ["changes", LargeAnswers.short.path, "--since", LargeAnswers.short.limitID]
        }
    }

    /// What a program that must not succeed has printed.
    private func expectFailure(_ outcome: BuiltProgram.Outcome, codes: Set<Int32>, _ note: Comment) {
        #expect(codes.contains(outcome.status), "\(note): exit code \(outcome.status), \(outcome.error)")
        #expect(outcome.error.filter { $0 == "\n" }.count == 1, "\(note): \(outcome.error)")
    }

    // MARK: Tests

    @Test func theRecordIsAWholeAnswer() async throws {
        #expect(answer.frames.count >= 4, "a header, batches and END")
        #expect(answer.frames.dropLast().allSatisfy { $0.header.type == .data })
        let size: UInt64 = 12_800 << 20
        #expect(try listChanges([answer.script(answer.bytes)]).map(\.lines) == [Asking.plainLines(expected)])
        let lines = Asking.lines(expected, processed: size)
        #expect(try diskdelta([answer.script(answer.bytes)]).map { Array($0.lines.dropFirst()) } == [lines])
        try await readInSwift([answer.script(answer.bytes)]) { _, error, ranges in
            #expect(error == nil)
            #expect(ranges == expected)
        }
    }

    @Test("Cut at every byte, for the Swift client", arguments: [ScriptedListener.Ending.close, .reset])
    func cutForTheSwiftClient(ending: ScriptedListener.Ending) async throws {
        let scripts = answer.bytes.indices.map { answer.script(prefix: $0, ending: ending) }
        try await readInSwift(scripts) { cut, error, ranges in
            let reason = (error as? CallError)?.reason
            if ending == .close {
                #expect(reason == (cut < answer.headerEnd ? .serverUnavailable : .answerIncomplete), "cut at \(cut)")
            } else {
                #expect(reason == .serverUnavailable || reason == .answerIncomplete, "cut at \(cut)")
            }
            #expect(Array(expected.prefix(ranges.count)) == ranges, "cut at \(cut)")
        }
    }

    @Test("Cut at every byte, for list-changes")
    func cutForTheCClient() throws {
        let outcomes = try listChanges(answer.bytes.indices.map { answer.script(prefix: $0) })
        for (cut, outcome) in outcomes.enumerated() {
            expectFailure(outcome, codes: [cut < answer.headerEnd ? 7 : 6], "cut at \(cut)")
            #expect(Array(Asking.plainLines(expected).prefix(outcome.lines.count)) == outcome.lines, "cut at \(cut)")
        }
    }

    @Test("Cut at every byte, for diskdelta")
    func cutForTheCommandLine() throws {
        let outcomes = try diskdelta(answer.bytes.indices.map { answer.script(prefix: $0) })
        let allLines = Asking.rangeLines(expected)
        for (cut, outcome) in outcomes.enumerated() {
            let hasHeader = cut >= answer.headerEnd
            expectFailure(outcome, codes: [hasHeader ? 6 : 7], "cut at \(cut)")
            #expect(outcome.lastText("type") == "error", "cut at \(cut)")
            #expect(outcome.lastText("reason") == (hasHeader ? "ANSWER_INCOMPLETE" : "SERVER_UNAVAILABLE"))
            let ranges = Array(outcome.lines.dropFirst(hasHeader ? 1 : 0).dropLast())
            #expect(Array(allLines.prefix(ranges.count)) == ranges, "cut at \(cut)")
            // Where a script would ask again: all that was printed lies before it, and nothing that was not.
            let resume = outcome.lastNumber("resume_offset") ?? .max
            #expect(expected.filter { $0.end <= resume }.count == ranges.count, "cut at \(cut)")
        }
    }

    @Test("A long answer, cut at the edges of its frames and in between")
    func cutLong() async throws {
        try LargeAnswers.writeLong(in: folder)
        let server = try RunningServer.start(root: folder)
        let long = try RecordedAnswer(LargeAnswers.long, at: server.tcp)
        _ = try server.stop()
        #expect(long.frames.count >= 4)
        var cuts: Set<Int> = []
        var position = long.opening.count
        for frame in long.frames {
            let end = position + frame.bytes.count
            cuts.formUnion(position..<min(position + 20, end))
            cuts.formUnion(stride(from: position, to: end, by: 4_999))
            cuts.formUnion(max(position, end - 3)..<end)
            position = end
        }
        try await readInSwift(cuts.sorted().map { long.script(prefix: $0) }, LargeAnswers.long) { index, error, _ in
            #expect(error is CallError, "cut \(index)")
        }
    }

    /// The answer with bits of its END frame turned: those of the payload, or those of the header.
    private func flipped(header: Bool) -> [ScriptedListener.Script] {
        let all = answer.bytes
        let end = all.count - (answer.frames.last?.payload.count ?? 0)
        let bytes = header ? end - FrameHeader.byteCount..<end : end..<all.count
        return bytes.flatMap { byte in
            (0..<8).map { bit in
                var broken = all
                broken[byte] ^= 1 << UInt8(bit)
                return answer.script(broken)
            }
        }
    }

    @Test("Every bit of the END frame turned")
    func flippedEnd() async throws {
        let payload = flipped(header: false)
        #expect(payload.count >= 8 * 20)
        try await readInSwift(payload + flipped(header: true)) { index, error, _ in
            #expect(error is CallError, "bit \(index)")
        }
        for (bit, outcome) in try listChanges(payload + flipped(header: true)).enumerated() {
            // Another status is a failure too, and may be that of a call that was cancelled.
            expectFailure(outcome, codes: Set(1...9).union(bit < payload.count ? [] : [130]), "bit \(bit)")
        }
        for (bit, outcome) in try diskdelta(payload).enumerated() {
            expectFailure(outcome, codes: [9], "bit \(bit)")
            #expect(outcome.lastText("type") == "error", "bit \(bit)")
        }
    }

    @Test("A batch that is left out, sent twice, or in another's place")
    func wrongBatches() async throws {
        func script(_ frames: [Frame], renumbered: Bool) -> ScriptedListener.Script {
            let frames = frames.enumerated().map { index, frame in
                guard renumbered, frame.header.type == .data else { return frame }
                return Frame(.data, stream: frame.header.stream, aux: UInt32(index), payload: frame.payload)
            }
            return answer.script(answer.opening + frames.flatMap(\.bytes))
        }
        var scripts: [ScriptedListener.Script] = []
        for renumbered in [false, true] {
            for index in answer.frames.indices.dropLast() {
                var frames = answer.frames
                frames.remove(at: index)
                scripts.append(script(frames, renumbered: renumbered))
                frames = answer.frames
                frames.insert(frames[index], at: index)
                scripts.append(script(frames, renumbered: renumbered))
                guard index + 2 < answer.frames.count else { continue }
                frames = answer.frames
                frames.swapAt(index, index + 1)
                scripts.append(script(frames, renumbered: renumbered))
            }
        }
        try await readInSwift(scripts) { index, error, _ in
            #expect((error as? CallError)?.reason == .answerInvalid, "script \(index)")
        }
        for (index, outcome) in try listChanges(scripts).enumerated() {
            expectFailure(outcome, codes: [9], "script \(index)")
        }
    }
}

/// The outcomes of shares of the work, in their order.
private final class Results: @unchecked Sendable {
    private let lock = NSLock()
    private var shares: [Result<[BuiltProgram.Outcome], any Error>]

    init(count: Int) {
        shares = Array(repeating: .success([]), count: count)
    }

    func set(_ index: Int, _ result: Result<[BuiltProgram.Outcome], any Error>) {
        lock.withLock { shares[index] = result }
    }

    func all() throws -> [BuiltProgram.Outcome] {
        try lock.withLock { try shares.flatMap { try $0.get() } }
    }
}

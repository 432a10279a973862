import DiskDeltaProtocol
import TestSupport
import Testing

@testable import DiskDeltaClient

/// All loops over an answer share one place in it: none loses a range, none is told one twice, and none that gets nothing is told
/// that this was the answer.
@Suite("One place for all loops", .timeLimit(.minutes(2)))
struct OnePlaceTests {
    private static let broke = CallError(.serverUnavailable, "the connection was reset")

    /// What is asked: the answers are alike.
    enum Question: CaseIterable {
        case changes, allocation, jobResults
    }

    private static let seeds = (1...60).map { UInt64($0) &* 0x9E37_79B9 }

    private static func stream(
        _ question: Question,
        _ server: some CallInvoker,
        of answer: Answer,
        from offset: UInt64? = nil
    ) async throws -> RangeStream {
        let waiting = BackoffPolicy(initial: .milliseconds(1), multiplier: 1, maximum: .milliseconds(1), jitter: 0)
        let client = DiskDeltaClient(server, ranges: RangeOptions(resuming: ResumePolicy(waiting: waiting)))
        let end = answer.expectation.offset + (answer.expectation.length ?? 0)
        let start = offset ?? answer.expectation.offset
        switch question {
        case .changes:
            return try await client.changes(
                GetVirtualDiskChangesRequest(
                    path: "root/disk.vhdx",
                    limitID: "L",
                    byteOffset: start,
                    byteLength: end - start
                )
            )
        case .allocation:
            return try await client.allocation(
                GetVirtualDiskAllocationRequest(path: "root/disk.vhdx", byteOffset: start, byteLength: end - start)
            )
        case .jobResults:
            return try await client.jobResults(JobResultsRequest(id: "{1}", byteOffset: start))
        }
    }

    /// A server of the ranges of an answer, in whatever window it is asked about, and whose first answers break.
    private static func breakingServer(
        of answer: Answer,
        using generator: inout RepeatableGenerator
    ) throws -> WindowedInvoker {
        guard case .header(let header) = answer.messages[0].part else { throw CallError(.internal, "no header") }
        let inside = header.granuleBoundaries
            .filter { cut in !answer.ranges.contains { $0.offset < cut && cut < $0.end } }
        let cuts = Set((0..<4).compactMap { _ in inside.randomElement(using: &generator) }).sorted()
        let fates = (0..<Int.random(in: 0...4, using: &generator)).map { _ in
            WindowedInvoker.Fate.breaks(after: Int.random(in: 1...4, using: &generator), broke)
        }
        return WindowedInvoker(answer.ranges, header: header, cuts: cuts, fates: fates)
    }

    /// Loops over ranges and over batches, each left at random.
    private struct Loops {
        var told: [ChangedRange] = []
        var generator: RepeatableGenerator

        /// Whether it came to the end.
        mutating func readSome(of stream: RangeStream) async throws -> Bool {
            var left = Int.random(in: 1...12, using: &generator)
            let start = await stream.position
            if generator.chance(60) {
                for try await range in stream.ranges {
                    told.append(range)
                    #expect(await stream.position == range.end)
                    left -= 1
                    if left == 0 { return false }
                }
            } else {
                left = (left + 3) / 4
                var position = start
                for try await batch in stream {
                    #expect(batch.start == position)
                    position = batch.processedEnd
                    #expect(await stream.position == position)
                    #expect(batch.count == batch.ranges.count)
                    told += batch.ranges
                    left -= 1
                    if left == 0 { return false }
                }
            }
            return true
        }
    }

    private func thrown(_ body: () async throws -> Void) async -> CallError? {
        await #expect(throws: CallError.self) { try await body() }
    }

    /// What a loop of each kind throws: the same.
    private func errorOfAnyLoop(_ stream: RangeStream) async throws -> CallError {
        let single = await thrown { for try await _ in stream.ranges { Issue.record("a range") } }
        let batch = await thrown { for try await _ in stream { Issue.record("a batch") } }
        #expect(single == batch)
        return try #require(single)
    }

    // MARK: One answer

    @Test("Loops that are left at random make one uninterrupted loop", arguments: Question.allCases, seeds)
    func leftLoops(question: Question, seed: UInt64) async throws {
        print("loops that are left: \(question), seed \(seed)")
        var generator = RepeatableGenerator(seed: seed)
        let answer = Answer.random(using: &generator)
        var messages = answer.messages
        if question == .allocation, case .header(var header) = messages[0].part {
            (header.basis, header.since) = (.allocated, "")
            messages[0] = RangeAnswer(part: .header(header))
        }
        let stream = try await Self.stream(question, ScriptedInvoker(messages, .success(answer.details)), of: answer)
        var loops = Loops(generator: generator)
        while try await !loops.readSome(of: stream) { #expect(await stream.totals == nil) }
        #expect(loops.told == answer.ranges, "seed \(seed)")
        #expect(await stream.totals == answer.details.totals, "seed \(seed)")
        #expect(await stream.position == stream.header.windowOffset + stream.header.windowLength)
        // The end was told: what comes now is no answer.
        for _ in 0..<2 {
            let error = try await errorOfAnyLoop(stream)
            #expect(error.reason == .invalidParameter && error.message.contains("already"))
        }
        #expect(await stream.totals == answer.details.totals, "seed \(seed)")
    }

    @Test("Also where the answer is resumed on the way", arguments: seeds)
    func leftLoopsOfResumedAnswers(seed: UInt64) async throws {
        print("loops that are left, of answers that break: seed \(seed)")
        var generator = RepeatableGenerator(seed: seed)
        let answer = Answer.random(using: &generator)
        let server = try Self.breakingServer(of: answer, using: &generator)
        let stream = try await Self.stream(.changes, server, of: answer)
        var loops = Loops(generator: generator)
        while try await !loops.readSome(of: stream) {}
        #expect(loops.told == answer.ranges, "seed \(seed)")
        #expect(await stream.totals == answer.details.totals, "seed \(seed)")
    }

    @Test("Who leaves a loop and asks anew from the position loses nothing", arguments: seeds)
    func thePositionIsWhereToAskAgain(seed: UInt64) async throws {
        print("asked again from the position: seed \(seed)")
        var generator = RepeatableGenerator(seed: seed)
        let answer = Answer.random(using: &generator)
        let server = try Self.breakingServer(of: answer, using: &generator)
        let end = answer.expectation.offset + (answer.expectation.length ?? 0)
        var loops = Loops(generator: generator)
        var position = answer.expectation.offset
        while position < end {
            let stream = try await Self.stream(.changes, server, of: answer, from: position)
            _ = try await loops.readSome(of: stream)
            position = await stream.position
        }
        #expect(loops.told == answer.ranges, "seed \(seed)")
    }

    @Test("After a failure each loop throws it again", arguments: seeds.prefix(20))
    func afterAFailure(seed: UInt64) async throws {
        print("loops after a failure: seed \(seed)")
        var generator = RepeatableGenerator(seed: seed)
        let answer = Answer.random(using: &generator)
        let count = Int.random(in: 1...answer.messages.count, using: &generator)
        let failure = CallError(.readFailed, "the disk is broken")
        let stream = try await Self.stream(
            .changes,
            ScriptedInvoker(Array(answer.messages.prefix(count)), .failure(failure)),
            of: answer
        )
        var loops = Loops(generator: generator)
        let first = await thrown { while try await !loops.readSome(of: stream) {} }
        #expect(first?.reason == .readFailed)
        #expect(loops.told == Array(answer.ranges.prefix(loops.told.count)), "seed \(seed)")
        for _ in 0..<2 { #expect(try await errorOfAnyLoop(stream) == first) }
        #expect(await stream.totals == nil)
    }

    @Test("Cancelled, what has arrived is not told", arguments: [false, true], seeds.prefix(20))
    func afterACancellation(byTask: Bool, seed: UInt64) async throws {
        print("loops after a cancellation: by the task \(byTask), seed \(seed)")
        var generator = RepeatableGenerator(seed: seed)
        let answer = Answer.random(using: &generator)
        // All of it has arrived, and nobody would have to wait.
        let server = ScriptedInvoker(answer.messages, .success(answer.details))
        let stream = try await Self.stream(.changes, server, of: answer)
        let start = generator
        let (told, first) = await Task { () async -> ([ChangedRange], CallError?) in
            var loops = Loops(generator: start)
            let first = await thrown {
                // It may come to the last range, but not to the end of the answer.
                if loops.generator.chance(30) {
                    for try await batch in stream {
                        loops.told += batch.ranges
                        break
                    }
                } else if let count = answer.ranges.indices.randomElement(using: &loops.generator) {
                    for try await range in stream.ranges {
                        loops.told.append(range)
                        if loops.told.count > count { break }
                    }
                }
                if byTask { withUnsafeCurrentTask { $0?.cancel() } } else { stream.cancel() }
                while try await !loops.readSome(of: stream) {}
                Issue.record("the answer is taken for complete")
            }
            return (loops.told, first)
        }.value
        #expect(await stream.totals == nil)
        // Where it goes on is behind all that was told, and before all that was not.
        let position = await stream.position
        #expect(told == Array(answer.ranges.prefix(told.count)), "seed \(seed)")
        #expect(told.allSatisfy { $0.end <= position }, "seed \(seed)")
        #expect(answer.ranges.dropFirst(told.count).allSatisfy { $0.offset >= position }, "seed \(seed)")
        // Also for a task that was not cancelled.
        let again = try await errorOfAnyLoop(stream)
        #expect(again == first && again.reason == .cancelled && again.resumeOffset == position, "seed \(seed)")
    }

    @Test func aCancelledTaskGetsNoTwoArrays() async throws {
        var generator = RepeatableGenerator(seed: 1)
        let answer = Answer.random(using: &generator)
        let client = DiskDeltaClient(ScriptedInvoker(answer.messages, .success(answer.details)))
        let window = answer.expectation
        let error = await Task { () async -> CallError? in
            withUnsafeCurrentTask { $0?.cancel() }
            return await thrown {
                _ = try await client.getVirtualDiskChanges(
                    GetVirtualDiskChangesRequest(
                        path: "root/disk.vhdx",
                        byteOffset: window.offset,
                        byteLength: window.length
                    ),
                    maximumRanges: 1_000
                )
            }
        }.value
        #expect(error?.reason == .cancelled)
    }

    @Test func oneIteratorIsToldTheEndAgain() async throws {
        var generator = RepeatableGenerator(seed: 2)
        let answer = Answer.random(using: &generator)
        let server = ScriptedInvoker(answer.messages, .success(answer.details))
        let stream = try await Self.stream(.changes, server, of: answer)
        var ranges = stream.ranges.makeAsyncIterator()
        var other = stream.makeAsyncIterator()
        while try await ranges.next() != nil {}
        #expect(try await ranges.next() == nil)
        // One that began before, and was not told.
        let error = await thrown { _ = try await other.next() }
        #expect(error?.reason == .invalidParameter)
    }

    // MARK: More than one task

    @Test("Of two tasks that wait at once, one gets an error", arguments: [false, true])
    func twoTasksAtOnce(ranges: Bool) async throws {
        var generator = RepeatableGenerator(seed: 3)
        let answer = Answer.random(using: &generator)
        let server = ScriptedInvoker([answer.messages[0]], .wait)
        let stream = try await Self.stream(.changes, server, of: answer)
        await withTaskGroup(of: Reason?.self) { group in
            for _ in 0..<2 {
                group.addTask {
                    await thrown {
                        if ranges { for try await _ in stream.ranges {} } else { for try await _ in stream {} }
                    }?.reason
                }
            }
            #expect(await group.next() == .invalidParameter)
            // The other was not disturbed.
            stream.cancel()
            #expect(await group.next() == .cancelled)
        }
    }

    @Test("Tasks that take turns have each range once", arguments: seeds.prefix(20))
    func tasksThatTakeTurns(seed: UInt64) async throws {
        print("tasks that take turns: seed \(seed)")
        var generator = RepeatableGenerator(seed: seed)
        let answer = Answer.random(using: &generator)
        let server = ScriptedInvoker(answer.messages, .success(answer.details))
        let stream = try await Self.stream(.changes, server, of: answer)
        /// What one task was told, and whether that was the end.
        @Sendable func read(byRange: Bool) async -> (ranges: [ChangedRange], end: Bool) {
            var told: [ChangedRange] = []
            while true {
                do throws(CallError) {
                    if byRange {
                        for try await range in stream.ranges { told.append(range) }
                    } else {
                        for try await batch in stream { told += batch.ranges }
                    }
                    return (told, true)
                } catch {
                    guard error.message.contains("two tasks") else {
                        #expect(error.message.contains("already"))
                        return (told, false)
                    }
                }
                await Task.yield()
            }
        }
        async let first = read(byRange: true)
        async let second = read(byRange: false)
        async let third = read(byRange: true)
        let tasks = await [first, second, third]
        #expect(tasks.flatMap(\.ranges).sorted { $0.offset < $1.offset } == answer.ranges, "seed \(seed)")
        #expect(tasks.filter(\.end).count == 1)
    }

    // MARK: Many disks

    private static func disks(using generator: inout RepeatableGenerator) -> (ManyDisksInvoker, [Answer], [String]) {
        let answers = (0..<3).map { _ in Answer.random(using: &generator) }
        var disks: [String: ManyDisksInvoker.Disk] = [:]
        for (index, answer) in answers.enumerated() {
            guard case .header(let header) = answer.messages[0].part else { continue }
            let end = header.windowOffset + header.windowLength
            let start = header.windowOffset / header.granularity * header.granularity
            let cuts = stride(from: start, to: end, by: Int(header.granularity) * 8)
                .filter { cut in !answer.ranges.contains { $0.offset < cut && cut < $0.end } }
            disks["\(index)"] = ManyDisksInvoker.Disk(ranges: answer.ranges, header: header, cuts: cuts)
        }
        return (ManyDisksInvoker(disks, seed: generator.next()), answers, answers.indices.map { "\($0)" })
    }

    private static func ask(_ server: ManyDisksInvoker, _ answers: [Answer]) async throws -> ManyRangeStream {
        try await DiskDeltaClient(server).changes(
            ofMany: answers.enumerated().map { index, answer in
                GetVirtualDiskChangesRequest(
                    path: "\(index)",
                    limitID: "L",
                    byteOffset: answer.expectation.offset,
                    byteLength: answer.expectation.length
                )
            }
        )
    }

    @Test("Loops over many disks that are left at random make one", arguments: seeds.prefix(30))
    func manyDisks(seed: UInt64) async throws {
        print("loops over many disks: seed \(seed)")
        var generator = RepeatableGenerator(seed: seed)
        let (server, answers, names) = Self.disks(using: &generator)
        let stream = try await Self.ask(server, answers)
        var told = [DiskRecord](repeating: DiskRecord(), count: names.count)
        var isOver = false
        while !isOver {
            var left = Int.random(in: 1...4, using: &generator)
            isOver = true
            for try await message in stream {
                told[message.disk].add(message)
                left -= 1
                if left == 0 {
                    isOver = false
                    break
                }
            }
        }
        for (disk, answer) in zip(told, answers) {
            #expect(disk.isOrdered && disk.isComplete && disk.ranges == answer.ranges, "seed \(seed)")
        }
        for _ in 0..<2 {
            let error = await thrown { for try await _ in stream { Issue.record("a message") } }
            #expect(error?.reason == .invalidParameter)
        }
    }

    @Test("Cancelled, each disk is told where it goes on", arguments: [false, true], seeds.prefix(20))
    func manyDisksCancelled(byTask: Bool, seed: UInt64) async throws {
        print("many disks, cancelled: by the task \(byTask), seed \(seed)")
        var generator = RepeatableGenerator(seed: seed)
        let (server, answers, names) = Self.disks(using: &generator)
        let stream = try await Self.ask(server, answers)
        let count = Int.random(in: 0...8, using: &generator)
        let (told, first) = await Task { () async -> ([DiskRecord], CallError?) in
            var told = [DiskRecord](repeating: DiskRecord(), count: names.count)
            let first = await thrown {
                var left = count
                while true {
                    if left == 0 {
                        if byTask { withUnsafeCurrentTask { $0?.cancel() } } else { stream.cancel() }
                    }
                    left -= 1
                    for try await message in stream {
                        told[message.disk].add(message)
                        break
                    }
                }
            }
            return (told, first)
        }.value
        #expect(first?.reason == .cancelled, "seed \(seed)")
        for (disk, answer) in zip(told, answers) {
            #expect(disk.isOrdered && disk.end != nil, "seed \(seed)")
            guard let failure = disk.failure, let position = failure.resumeOffset else { continue }
            #expect(failure.reason == .cancelled, "seed \(seed)")
            #expect(disk.ranges == answer.ranges.filter { $0.offset < position }, "seed \(seed)")
        }
        let again = await thrown { for try await _ in stream { Issue.record("a message") } }
        #expect(again == first)
    }
}

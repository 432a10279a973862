import DiskDeltaProtocol
import Synchronization
import TestSupport
import Testing

@testable import DiskDeltaClient

/// Many answers in one call: each disk has its own, and one end.
@Suite("Answers about many disks", .timeLimit(.minutes(2)))
struct ManyRangeStreamTests {
    private static let broke = CallError(.serverUnavailable, "the connection was reset")

    private static let header = AnswerHeader(
        disk: "root/disk.vhdx",
        format: .vhdx,
        size: 65_536,
        since: "{a}",
        epoch: "e",
        granularity: 512,
        basis: .changes,
        unit: 512,
        windowOffset: 0,
        windowLength: 65_536
    )

    private static let ranges = [
        ChangedRange(offset: 512, length: 512, kind: .data), ChangedRange(offset: 9_216, length: 1_024, kind: .zero),
    ]

    private static let whole = ManyDisksInvoker.Disk(ranges: ranges, header: header, cuts: [1_536, 8_192])

    private static func disks(_ names: String...) -> [String: ManyDisksInvoker.Disk] {
        Dictionary(uniqueKeysWithValues: names.map { ($0, whole) })
    }

    private static func question(_ disk: String) -> GetVirtualDiskChangesRequest {
        GetVirtualDiskChangesRequest(path: disk, limitID: "L", targetSnapshotID: "T", granularity: 512)
    }

    /// Without waiting between attempts.
    private static func options(
        attempts: Int? = nil,
        silence: Duration? = nil,
        observer: (@Sendable (ResumeEvent) -> Void)? = nil
    ) -> RangeOptions {
        let waiting = BackoffPolicy(initial: .milliseconds(1), multiplier: 1, maximum: .milliseconds(1), jitter: 0)
        return RangeOptions(
            resuming: ResumePolicy(maximumAttempts: attempts, waiting: waiting),
            silenceLimit: silence,
            observer: observer
        )
    }

    /// What was told of each disk, and what the sequence threw.
    private func read(
        _ stream: ManyRangeStream,
        count: Int
    ) async -> (disks: [DiskRecord], error: CallError?) {
        var disks = [DiskRecord](repeating: DiskRecord(), count: count)
        do throws(CallError) {
            for try await message in stream { disks[message.disk].add(message) }
            return (disks, nil)
        } catch {
            return (disks, error)
        }
    }

    private func ask(
        _ server: ManyDisksInvoker,
        _ names: [String],
        _ options: RangeOptions = options(),
        _ call: CallOptions = CallOptions()
    ) async throws -> (disks: [DiskRecord], error: CallError?) {
        let client = DiskDeltaClient(server, ranges: options)
        let stream = try await client.changes(ofMany: names.map(Self.question), options: call)
        return await read(stream, count: names.count)
    }

    // MARK: One call

    @Test func eachDiskHasItsAnswer() async throws {
        let server = ManyDisksInvoker(Self.disks("a", "b", "c"))
        let (disks, error) = try await ask(server, ["a", "b", "c"])
        #expect(error == nil)
        for (name, disk) in zip(["a", "b", "c"], disks) {
            #expect(disk.isOrdered && disk.isComplete && disk.ranges == Self.ranges)
            #expect(disk.header == Self.header.answering(Self.question(name)))
        }
        #expect(server.asked.withLock { $0.map(\.disks) } == [["a", "b", "c"].map(Self.question)])
    }

    @Test func aFailureOfOneDiskIsNoneOfTheOthers() async throws {
        var all = Self.disks("a", "c")
        all["c"]?.failure = (2, CallError(.imageCorrupt, "the table is damaged", resumeOffset: 60_000))
        let server = ManyDisksInvoker(all)
        let (disks, error) = try await ask(server, ["a", "missing", "c", "a"])
        #expect(error == nil)
        #expect(disks.map(\.isComplete) == [true, false, false, true])
        #expect(disks[1].failure?.reason == .fileNotFound && disks[1].header == nil)
        #expect(disks[2].failure?.reason == .imageCorrupt && disks[2].failure?.resumeOffset == 1_536)
        #expect(server.asked.withLock { $0.count } == 1)
    }

    @Test func nothingAskedIsNothingAnswered() async throws {
        let (disks, error) = try await ask(ManyDisksInvoker([:]), [])
        #expect(disks.isEmpty && error == nil)
    }

    @Test func theEndIsToldOnce() async throws {
        let client = DiskDeltaClient(ManyDisksInvoker(Self.disks("a")))
        let stream = try await client.changes(ofMany: [Self.question("a")])
        #expect(await read(stream, count: 1).error == nil)
        let again = await read(stream, count: 1)
        #expect(again.error?.reason == .invalidParameter && again.disks == [DiskRecord()])
        #expect(await stream.position(of: 0) == 65_536)
        for unknown in [-1, 1, .max, .min] { #expect(await stream.position(of: unknown) == nil) }
    }

    @Test("A call that is refused as a whole", arguments: [Reason.unsupported, .invalidParameter, .serverUnavailable])
    func refused(reason: Reason) async {
        for fate in [.notMade(CallError(reason, "no")), .breaks(after: 0, CallError(reason, "no"))]
            as [WindowedInvoker.Fate]
        {
            let server = ManyDisksInvoker(Self.disks("a", "b"), fates: [fate])
            let error = await #expect(throws: CallError.self) { _ = try await ask(server, ["a", "b"]) }
            #expect(error?.reason == reason)
            #expect(server.asked.withLock { $0.count } == 1)
        }
    }

    // MARK: What breaks

    @Test("Only the disks without an end are asked again, each from where it is")
    func theRest() async throws {
        let names = ["a", "b", "c"]
        let whole = ManyDisksInvoker(Self.disks("a", "b", "c"))
        _ = try await ask(whole, names)
        // A header, three batches and an end of each disk.
        for count in 1..<15 {
            let server = ManyDisksInvoker(Self.disks("a", "b", "c"), fates: [.breaks(after: count, Self.broke)])
            let (disks, error) = try await ask(server, names)
            #expect(error == nil, "after \(count)")
            for disk in disks {
                #expect(disk.isOrdered && disk.isComplete && disk.ranges == Self.ranges, "after \(count)")
                #expect((try? disk.end?.get())?.processed == 65_536)
            }
            let asked = server.asked.withLock { $0 }
            #expect(asked.count == 2)
            #expect(asked[1].options.previousAttempts == 1 && asked[1].options.waitForReady)
            #expect(asked[1].disks.map(\.path) == names.filter { name in asked[1].disks.contains { $0.path == name } })
            for request in asked[1].disks {
                // One that had its header is asked about in its epoch; of one that had none there is nothing to go on from.
                #expect(request.ifEpoch == (request.byteLength == nil ? "" : "e"))
                #expect(request.byteLength.map { request.byteOffset + $0 } ?? 65_536 == 65_536)
                #expect(request.limitID == "L" && request.targetSnapshotID == "T" && request.granularity == 512)
            }
        }
    }

    @Test("Broken again and again, at random", arguments: (1...60).map { UInt64($0) &* 0x9E37_79B9 })
    func random(seed: UInt64) async throws {
        print("many resumed answers: seed \(seed)")
        var generator = RepeatableGenerator(seed: seed)
        var all: [String: ManyDisksInvoker.Disk] = [:]
        var questions: [GetVirtualDiskChangesRequest] = []
        var expected: [Answer?] = []
        for index in 0..<Int.random(in: 1...5, using: &generator) {
            let answer = Answer.random(using: &generator)
            guard case .header(let header) = answer.messages[0].part else { continue }
            let inside = header.granuleBoundaries
                .filter { cut in !answer.ranges.contains { $0.offset < cut && cut < $0.end } }
            let cuts = Set((0..<4).compactMap { _ in inside.randomElement(using: &generator) }).sorted()
            var disk = ManyDisksInvoker.Disk(ranges: answer.ranges, header: header, cuts: cuts)
            if generator.chance(20) { disk.failure = (Int.random(in: 0...2, using: &generator), Self.corrupt) }
            all["\(index)"] = disk
            expected.append(disk.failure == nil ? answer : nil)
            questions.append(
                GetVirtualDiskChangesRequest(
                    path: "\(index)",
                    limitID: "L",
                    byteOffset: header.windowOffset,
                    byteLength: header.windowLength
                )
            )
        }
        // The first call gets as far as its first message: before that nothing is resumed.
        var fates: [WindowedInvoker.Fate] = [.breaks(after: .random(in: 1...6, using: &generator), Self.broke)]
        for _ in 0..<Int.random(in: 0...12, using: &generator) {
            switch Int.random(in: 0..<5, using: &generator) {
            case 0: fates.append(.notMade(Self.broke))
            case 1: fates.append(.notMade(CallError(.resourceLimit, "too many calls").unbegun))
            case 2: fates.append(.silent(after: .random(in: 1...6, using: &generator)))
            default: fates.append(.breaks(after: .random(in: 0...8, using: &generator), Self.broke))
            }
        }
        let server = ManyDisksInvoker(all, fates: fates, seed: seed)
        let stream = try await DiskDeltaClient(server, ranges: Self.options(silence: .milliseconds(5)))
            .changes(ofMany: questions)
        let (disks, error) = await read(stream, count: questions.count)
        #expect(error == nil, "seed \(seed)")
        for (disk, answer) in zip(disks, expected) {
            #expect(disk.isOrdered, "seed \(seed)")
            if let answer {
                #expect(disk.ranges == answer.ranges, "seed \(seed)")
                #expect(disk.end == answer.details.totals.map { .success($0) }, "seed \(seed)")
            } else {
                #expect(disk.failure?.reason == .imageCorrupt, "seed \(seed)")
            }
        }
        let asked = server.asked.withLock { $0.map { $0.disks.map(\.path) } }
        #expect(await stream.resumeAttempts == asked.count - 1, "seed \(seed)")
        for (before, after) in zip(asked, asked.dropFirst()) {
            #expect(Set(after).isSubset(of: before) && !after.isEmpty, "seed \(seed)")
        }
    }

    private static let corrupt = CallError(.imageCorrupt, "the table is damaged")

    @Test func anEndOfTheWholeThatIsLostIsNotMissed() async throws {
        let server = ManyDisksInvoker(Self.disks("a", "b"), fates: [.breaks(after: 10, Self.broke)])
        let (disks, error) = try await ask(server, ["a", "b"], RangeOptions(resuming: .off))
        #expect(error == nil)
        #expect(disks.allSatisfy { $0.isComplete })
        #expect(server.asked.withLock { $0.count } == 1)
    }

    @Test func eachDiskHasAnEndAlsoWhereAllIsGivenUp() async throws {
        let events = Mutex<[ResumeEvent]>([])
        let options = Self.options(attempts: 2) { event in events.withLock { $0.append(event) } }
        let dead = WindowedInvoker.Fate.notMade(CallError(.serverUnavailable, "nobody listens"))
        for seed in 1...20 as ClosedRange<UInt64> {
            events.withLock { $0 = [] }
            let fates = [.breaks(after: 4, Self.broke), dead, dead, dead] as [WindowedInvoker.Fate]
            let server = ManyDisksInvoker(Self.disks("a", "b", "c"), fates: fates, seed: seed)
            let (disks, error) = try await ask(server, ["a", "b", "c"], options)
            #expect(error?.reason == .answerIncomplete && error?.resumeOffset == nil)
            #expect(error?.message.contains("2 attempts") == true, "\(error?.message ?? "")")
            for disk in disks {
                #expect(disk.isOrdered && disk.failure != nil)
                #expect(disk.failure?.message == error?.message)
                // A disk of which nothing came is not incomplete: the server was not there.
                #expect(disk.failure?.reason == (disk.header == nil ? .serverUnavailable : .answerIncomplete))
                #expect(disk.failure?.status == .unavailable)
                #expect(disk.ranges.allSatisfy { $0.end <= disk.failure?.resumeOffset ?? 0 })
            }
            // Each disk is told of at each break.
            let told = events.withLock { $0 }
            #expect(told.map(\.kind) == Array(repeating: .broke, count: 9) + Array(repeating: .gaveUp, count: 3))
            #expect(told.map(\.disk) == [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2])
            #expect(told.suffix(3).map(\.position) == disks.map { $0.failure?.resumeOffset ?? .max })
        }
    }

    @Test("Any other failure ends the rest", arguments: [Reason.accessDenied, .deadline, .internal, .imageCorrupt])
    func otherFailures(reason: Reason) async throws {
        let other = CallError(reason, "so it is", resumeOffset: 60_000)
        let server = ManyDisksInvoker(Self.disks("a", "b"), fates: [.breaks(after: 3, other)])
        let (disks, error) = try await ask(server, ["a", "b"])
        #expect(error?.reason == reason)
        #expect(disks.allSatisfy { $0.failure?.reason == reason && $0.failure?.resumeOffset != 60_000 })
        #expect(server.asked.withLock { $0.count } == 1)
    }

    @Test func anInvalidMessageEndsAllThatHasNoEnd() async throws {
        let server = ManyDisksInvoker(Self.disks("a", "b")) { _, messages in
            // One disk is whole before the other begins.
            messages.sort { $0.disk < $1.disk }
            messages[6].disk = 7
        }
        let (disks, error) = try await ask(server, ["a", "b"])
        #expect(error?.reason == .answerInvalid && error?.message.contains("P-95") == true)
        #expect(disks[0].isComplete && disks[0].ranges == Self.ranges)
        #expect(disks[1].failure?.reason == .answerInvalid)
    }

    @Test func anotherStateOfOneDiskFailsThatDisk() async throws {
        let server = ManyDisksInvoker(Self.disks("a", "b"), fates: [.breaks(after: 4, Self.broke)]) { call, messages in
            guard call == 1 else { return }
            let disk = messages.map(\.disk).max() ?? 0
            messages =
                messages.filter { $0.disk != disk }
                + [ManyAnswer.end(of: Int(disk), .aborted, StatusDetails(CallError(.epochChanged, "")))]
        }
        let (disks, error) = try await ask(server, ["a", "b"])
        #expect(error == nil)
        #expect(disks.filter(\.isComplete).count == 1)
        #expect(disks.compactMap(\.failure).map(\.reason) == [.epochChanged])
    }

    @Test("The header of a disk must be repeated (P-92)")
    func headers() async throws {
        let server = ManyDisksInvoker(
            Self.disks("a"),
            fates: [.breaks(after: 2, Self.broke)]
        ) { call, messages in
            guard call == 1, case .answer(let answer)? = messages[0].part, case .header(var header)? = answer.part
            else {
                return
            }
            header.epoch = "f"
            messages[0].part = .answer(RangeAnswer(part: .header(header)))
        }
        let (disks, error) = try await ask(server, ["a"])
        #expect(error?.message.contains("P-92") == true)
        #expect(disks[0].failure?.reason == .answerInvalid && disks[0].failure?.resumeOffset == 1_536)
    }

    @Test func aServerThatIsSilentIsLeft() async throws {
        let server = ManyDisksInvoker(Self.disks("a", "b"), fates: [.silent(after: 5)])
        let (disks, error) = try await ask(server, ["a", "b"], Self.options(silence: .milliseconds(20)))
        #expect(error == nil && disks.allSatisfy { $0.isComplete })
        #expect(server.asked.withLock { $0.count } == 2)
    }

    @Test func theTimeSpansAllParts() async throws {
        let fates = [.breaks(after: 2, Self.broke), .breaks(after: 1, Self.broke)] as [WindowedInvoker.Fate]
        let server = ManyDisksInvoker(Self.disks("a", "b"), fates: fates)
        let (disks, _) = try await ask(server, ["a", "b"], Self.options(), CallOptions(timeout: .seconds(60)))
        #expect(disks.allSatisfy { $0.isComplete })
        let timeouts = server.asked.withLock { $0.compactMap(\.options.timeout) }
        #expect(timeouts.count == 3 && timeouts[0] == .seconds(60))
        #expect(timeouts[1] < timeouts[0] && timeouts[2] < timeouts[1])
    }

    @Test("Cancelled, each disk says so", arguments: [false, true])
    func cancelled(byTask: Bool) async throws {
        let server = ManyDisksInvoker(Self.disks("a", "b"), fates: [.silent(after: 3)])
        let client = DiskDeltaClient(server, ranges: Self.options())
        let stream = try await client.changes(ofMany: [Self.question("a"), Self.question("b")])
        let reader = Task { await read(stream, count: 2) }
        if byTask { reader.cancel() } else { stream.cancel() }
        let (disks, error) = await reader.value
        #expect(error?.reason == .cancelled)
        #expect(disks.allSatisfy { $0.failure?.reason == .cancelled })
        #expect(server.asked.withLock { $0.count } == 1)
    }
}

import DiskDeltaProtocol
import Synchronization
import TestSupport
import Testing

@testable import DiskDeltaClient

/// An answer that breaks is resumed, and its reader does not notice; or it is an error.
@Suite("Answers that are resumed", .timeLimit(.minutes(2)))
struct ResumeTests {
    private static let broke = CallError(.serverUnavailable, "the connection was reset")
    private let ranges = [
        ChangedRange(offset: 512, length: 512, kind: .data), ChangedRange(offset: 2_048, length: 512, kind: .zero),
        ChangedRange(offset: 9_216, length: 1_024, kind: .data), ChangedRange(offset: 20_480, length: 512, kind: .data),
    ]
    private let cuts: [UInt64] = [1_536, 8_192, 16_384]

    private let header = AnswerHeader(
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

    private func server(
        _ fates: [WindowedInvoker.Fate],
        change: @escaping @Sendable (Int, inout [RangeAnswer]) -> Void = { _, _ in }
    ) -> WindowedInvoker {
        WindowedInvoker(ranges, header: header, cuts: cuts, fates: fates, change: change)
    }

    private func ask(
        _ server: WindowedInvoker,
        _ options: RangeOptions = options(),
        _ call: CallOptions = CallOptions()
    ) async throws -> RangeStream {
        try await DiskDeltaClient(server, ranges: options).changes(of: "root/disk.vhdx", since: "{a}", options: call)
    }

    /// Reads to the end, which must be an error.
    private func failure(_ stream: RangeStream) async -> (ranges: [ChangedRange], error: CallError?) {
        var ranges: [ChangedRange] = []
        do throws(CallError) {
            for try await batch in stream { ranges += batch.ranges }
            Issue.record("the answer is taken for complete")
            return (ranges, nil)
        } catch {
            return (ranges, error)
        }
    }

    private func read(_ stream: RangeStream) async throws -> [ChangedRange] {
        var ranges: [ChangedRange] = []
        for try await batch in stream { ranges += batch.ranges }
        return ranges
    }

    // MARK: What works

    @Test("Broken after each message, the END's included")
    func everyBreak() async throws {
        for count in 1...5 {
            let server = server([.breaks(after: count, Self.broke)])
            let stream = try await ask(server)
            #expect(try await read(stream) == ranges)
            let totals = await stream.totals
            #expect(totals?.ranges == 4 && totals?.processed == 65_536)
            #expect(totals?.dataBytes == 2_048 && totals?.zeroBytes == 512 && totals?.bytes == 2_560)
            #expect(await stream.resumeAttempts == 1)
            #expect(await stream.position == 65_536)
            let asked = server.asked.withLock { $0 }
            #expect(asked.count == 2)
            let position = [0, 1_536, 8_192, 16_384, 65_536][count - 1] as UInt64
            #expect(asked[1].offset == position && asked[1].length == 65_536 - position)
            #expect(asked[0].epoch == "" && asked[1].epoch == "e")
            #expect(asked[0].options.previousAttempts == 0 && asked[1].options.previousAttempts == 1)
            #expect(asked[1].options.waitForReady)
        }
    }

    @Test("Broken again and again, at random", arguments: (1...60).map { UInt64($0) &* 0x9E37_79B9 })
    func random(seed: UInt64) async throws {
        print("resumed answers: seed \(seed)")
        var generator = RepeatableGenerator(seed: seed)
        let answer = Answer.random(using: &generator)
        guard case .header(let header) = answer.messages[0].part else { return }
        let inside = header.granuleBoundaries
            .filter { cut in !answer.ranges.contains { $0.offset < cut && cut < $0.end } }
        let cuts = Set((0..<8).compactMap { _ in inside.randomElement(using: &generator) }).sorted()
        // The first call gets as far as its header: before that nothing is resumed.
        var fates: [WindowedInvoker.Fate] = [.breaks(after: .random(in: 1...3, using: &generator), Self.broke)]
        for _ in 0..<Int.random(in: 0...12, using: &generator) {
            switch Int.random(in: 0..<5, using: &generator) {
            case 0: fates.append(.notMade(Self.broke))
            case 1: fates.append(.notMade(CallError(.resourceLimit, "too many calls").unbegun))
            case 2: fates.append(.silent(after: .random(in: 1...3, using: &generator)))
            default: fates.append(.breaks(after: .random(in: 0...4, using: &generator), Self.broke))
            }
        }
        let server = WindowedInvoker(answer.ranges, header: header, cuts: cuts, fates: fates)
        let events = Mutex<[ResumeEvent]>([])
        let options = Self.options(silence: .milliseconds(5)) { event in events.withLock { $0.append(event) } }
        let stream = try await DiskDeltaClient(server, ranges: options).changes(
            GetVirtualDiskChangesRequest(
                path: "p",
                limitID: "L",
                byteOffset: header.windowOffset,
                byteLength: header.windowLength
            )
        )
        #expect(try await read(stream) == answer.ranges, "seed \(seed)")
        #expect(await stream.totals == answer.details.totals, "seed \(seed)")
        let attempts = await stream.resumeAttempts
        #expect(attempts >= 1 && attempts == server.asked.withLock { $0.count } - 1, "seed \(seed)")
        let told = events.withLock { $0 }
        #expect(told.filter { $0.kind == .broke }.count == attempts, "seed \(seed)")
        #expect(!told.contains { $0.kind == .gaveUp }, "seed \(seed)")
        #expect(told.map(\.position) == told.map(\.position).sorted(), "seed \(seed)")
    }

    @Test func anotherUnitIsNoMatter() async throws {
        // The part that answers for the rest counts in units of its own (P-79).
        var header = header
        header.granularity = 4_096
        let server = WindowedInvoker(
            [ChangedRange(offset: 8_192, length: 4_096, kind: .data)],
            header: header,
            cuts: [4_096],
            fates: [.breaks(after: 2, Self.broke)]
        ) { call, messages in
            guard call == 1, case .header(var header) = messages[0].part else { return }
            header.unit = 4_096
            messages[0] = RangeAnswer(part: .header(header))
            messages[1] = Answer.runs([ChangedRange(offset: 8_192, length: 4_096, kind: .data)], 4_096, 65_536, 4_096)
        }
        let stream = try await ask(server)
        #expect(try await read(stream) == [ChangedRange(offset: 8_192, length: 4_096, kind: .data)])
    }

    @Test("The whole question is asked again, but for its window and epoch")
    func theWholeQuestion() async throws {
        var header = header
        header.assumedAtRest = true
        header.basis = .whole
        header.since = ""
        header.basisReason = .baselineUnknown
        let server = WindowedInvoker(ranges, header: header, cuts: cuts, fates: [.breaks(after: 2, Self.broke)])
        let request = GetVirtualDiskChangesRequest(
            path: "root/disk.vhdx",
            limitID: "{a}",
            targetSnapshotID: "{t}",
            granularity: 512,
            ifEpoch: "e",
            onUnavailable: .whole,
            assumeAtRest: true,
            imageFormat: .vhdx,
            ifSize: 65_536
        )
        let stream = try await DiskDeltaClient(server, ranges: Self.options()).changes(request)
        #expect(try await read(stream) == ranges)
        var rest = request
        rest.byteOffset = 1_536
        rest.byteLength = 65_536 - 1_536
        #expect(server.asked.withLock { $0.map(\.request) } == [request, rest])
    }

    @Test func whatIsKnownOfTheFilesIsAsked() async throws {
        var header = header
        header.format = .raw
        header.assumedAtRest = true
        let server = WindowedInvoker(ranges, header: header, fates: [.breaks(after: 1, Self.broke)])
        let stream = try await DiskDeltaClient(server, ranges: Self.options()).changes(
            of: "root/disk",
            since: "{a}",
            assumeAtRest: true,
            imageFormat: .raw,
            ifSize: 65_536
        )
        #expect(try await read(stream) == ranges && stream.header.assumedAtRest)
        let asked = server.asked.withLock { $0.map(\.request) }
        #expect(asked.count == 2)
        #expect(asked.allSatisfy { $0.assumeAtRest && $0.imageFormat == .raw && $0.ifSize == 65_536 })
    }

    @Test func theTimeSpansAllParts() async throws {
        let server = server([.breaks(after: 2, Self.broke), .breaks(after: 1, Self.broke)])
        let stream = try await ask(server, Self.options(), CallOptions(timeout: .seconds(60)))
        #expect(try await read(stream) == ranges)
        let timeouts = server.asked.withLock { $0.compactMap(\.options.timeout) }
        #expect(timeouts.count == 3)
        #expect(timeouts[0] == .seconds(60) && timeouts[1] < timeouts[0] && timeouts[2] < timeouts[1])
    }

    @Test func aServerThatIsSilentIsLeft() async throws {
        let events = Mutex<[ResumeEvent]>([])
        let options = Self.options(silence: .milliseconds(20)) { event in events.withLock { $0.append(event) } }
        let stream = try await ask(server([.silent(after: 3)]), options)
        #expect(try await read(stream) == ranges)
        let told = events.withLock { $0 }
        #expect(told.map(\.kind) == [.broke, .resumed])
        #expect(told[0].position == 8_192 && told[0].error?.status == .unavailable)
        #expect(told[1].attempts == 1 && told[1].error == nil)
    }

    // MARK: What does not

    @Test func givingUpIsAnErrorWithTheOffsetToResumeFrom() async throws {
        let events = Mutex<[ResumeEvent]>([])
        let options = Self.options(attempts: 3) { event in events.withLock { $0.append(event) } }
        let dead = WindowedInvoker.Fate.notMade(CallError(.serverUnavailable, "nobody listens"))
        let stream = try await ask(server([.breaks(after: 3, Self.broke), dead, dead, dead, dead]), options)
        let (ranges, error) = await failure(stream)
        #expect(ranges == Array(self.ranges.prefix(2)))
        #expect(error?.reason == .answerIncomplete && error?.status == .unavailable)
        #expect(error?.resumeOffset == 8_192)
        #expect(error?.message.contains("the connection was reset") == true, "\(error?.message ?? "")")
        #expect(error?.message.contains("3 attempts") == true, "\(error?.message ?? "")")
        #expect(error?.message.contains("nobody listens") == true, "\(error?.message ?? "")")
        #expect(events.withLock { $0.map(\.kind) } == [.broke, .broke, .broke, .broke, .gaveUp])
        #expect(await stream.totals == nil)
        #expect(await failure(stream).error == error)
    }

    @Test func beforeTheHeaderNothingIsResumed() async throws {
        let server = server([.breaks(after: 0, Self.broke)])
        let error = await #expect(throws: CallError.self) { _ = try await ask(server) }
        #expect(error?.reason == .serverUnavailable)
        #expect(server.asked.withLock { $0.count } == 1)
    }

    @Test(
        "Any other failure ends it, at once or in a part",
        arguments: [Reason.epochChanged, .accessDenied, .unauthenticated, .imageCorrupt, .deadline, .internal]
    )
    func otherFailures(reason: Reason) async throws {
        let other = CallError(reason, "so it is", resumeOffset: 60_000)
        for fates in [
            [.breaks(after: 3, other)], [.breaks(after: 3, Self.broke), .notMade(other)],
            [.breaks(after: 3, Self.broke), .breaks(after: 1, other)],
        ] as [[WindowedInvoker.Fate]] {
            let server = server(fates)
            let stream = try await ask(server)
            let (ranges, error) = await failure(stream)
            #expect(ranges == Array(self.ranges.prefix(2)))
            #expect(error?.reason == reason)
            #expect(error?.resumeOffset == 8_192)
            #expect(server.asked.withLock { $0.count } == fates.count)
        }
    }

    @Test("The header must be repeated (P-92)")
    func headers() async throws {
        let changes: [@Sendable (inout AnswerHeader) -> Void] = [
            { $0.format = .vhd }, { $0.size += 512 }, { $0.since = "{b}" }, { $0.target = "{b}" }, { $0.epoch = "f" },
            { $0.granularity = 1_024 }, { $0.basis = .whole }, { $0.basisReason = .baselineUnknown },
            { $0.assumedAtRest = true }, { $0.disk = "root/other.vhdx" },
        ]
        for (index, change) in changes.enumerated() {
            let server = server([.breaks(after: 3, Self.broke)]) { call, messages in
                guard call == 1, case .header(var header) = messages[0].part else { return }
                change(&header)
                messages[0] = RangeAnswer(part: .header(header))
            }
            let (_, error) = await failure(try await ask(server))
            #expect(error?.reason == .answerInvalid, "\(index)")
            #expect(error?.message.contains("P-92") == true, "\(index): \(error?.message ?? "")")
            #expect(error?.resumeOffset == 8_192)
        }
    }

    @Test func theWindowOfAPartIsTheRest() async throws {
        let changes: [@Sendable (inout AnswerHeader) -> Void] = [
            { $0.windowOffset = 0 }, { $0.windowLength -= 512 },
            { header in
                header.windowOffset += 512
                header.windowLength -= 512
            },
        ]
        for change in changes {
            let server = server([.breaks(after: 3, Self.broke)]) { call, messages in
                guard call == 1, case .header(var header) = messages[0].part else { return }
                change(&header)
                messages[0] = RangeAnswer(part: .header(header))
            }
            #expect(await failure(try await ask(server)).error?.message.contains("P-63") == true)
        }
    }

    @Test func rangesDoNotTouchAcrossParts() async throws {
        let server = WindowedInvoker(
            [ChangedRange(offset: 1_024, length: 512, kind: .data)],
            header: header,
            cuts: [1_536],
            fates: [.breaks(after: 2, Self.broke)]
        ) { call, messages in
            guard call == 1 else { return }
            messages[1] = Answer.runs([ChangedRange(offset: 1_536, length: 512, kind: .data)], 1_536, 65_536, 512)
        }
        let (ranges, error) = await failure(try await ask(server))
        #expect(ranges.count == 1)
        #expect(error?.message.contains("P-66") == true)
    }

    @Test func theTotalsOfAPartAreItsOwn() async throws {
        // A batch of the part is lost on its way.
        let server = server([.breaks(after: 2, Self.broke)]) { call, messages in
            if call == 1 { messages[2] = Answer.runs([], 8_192, 16_384, 512) }
        }
        #expect(await failure(try await ask(server)).error?.message.contains("P-75") == true)
    }

    @Test func cancellingEndsAWaitBetweenAttempts() async throws {
        let broken = AsyncStream.makeStream(of: Void.self)
        var options = RangeOptions { _ in broken.continuation.yield() }
        options.resuming.patience = .seconds(3_600)
        options.resuming.waiting.initial = .seconds(3_600)
        options.resuming.waiting.maximum = .seconds(3_600)
        let fates: [WindowedInvoker.Fate] = [.breaks(after: 2, Self.broke), .notMade(Self.broke)]
        for byTask in [false, true] {
            let stream = try await ask(server(fates), options)
            let reader = Task { await failure(stream).error }
            var breaks = 0
            for await _ in broken.stream {
                breaks += 1
                if breaks == 2 { break }
            }
            if byTask { reader.cancel() } else { stream.cancel() }
            #expect(await reader.value?.reason == .cancelled)
        }
    }

    @Test func theTimeEndsAWaitBetweenAttempts() async throws {
        var options = RangeOptions()
        options.resuming.waiting.initial = .seconds(3_600)
        options.resuming.waiting.maximum = .seconds(3_600)
        options.resuming.patience = .seconds(3_600)
        let fates: [WindowedInvoker.Fate] = [.breaks(after: 2, Self.broke), .notMade(Self.broke)]
        let stream = try await ask(server(fates), options, CallOptions(timeout: .milliseconds(300)))
        let error = await failure(stream).error
        #expect(error?.reason == .deadline)
        #expect(error?.resumeOffset == 1_536)
    }
}

import DiskDeltaProtocol
import Synchronization
import Testing

@testable import DiskDeltaClient

/// Jobs: their answers, and how their end is waited for.
@Suite("Jobs", .timeLimit(.minutes(1)))
struct JobTests {
    private static let broke = CallError(.serverUnavailable, "the connection was reset")

    private static var options: RangeOptions {
        let waiting = BackoffPolicy(initial: .milliseconds(1), multiplier: 1, maximum: .milliseconds(1), jitter: 0)
        return RangeOptions(resuming: ResumePolicy(waiting: waiting))
    }

    /// A server that answers each call as a test says: messages, and an end.
    private final class Server: CallInvoker {
        private let scripts: Mutex<[([any Message], ScriptedInvoker.End)]>
        let asked = Mutex<[any Message]>([])
        let options = Mutex<[CallOptions]>([])

        init(_ scripts: [([any Message], ScriptedInvoker.End)]) {
            self.scripts = Mutex(scripts)
        }

        func open(
            _ method: MethodDescriptor,
            request: some Message,
            options: CallOptions
        ) async throws(CallError) -> any OutstandingCall {
            asked.withLock { $0.append(request) }
            self.options.withLock { $0.append(options) }
            let script = scripts.withLock { $0.isEmpty ? nil : $0.removeFirst() }
            guard let (messages, end) = script else { throw CallError(.internal, "asked once too often") }
            return try await ScriptedInvoker(messages, end).open(method, request: request, options: options)
        }

        var offsets: [UInt64] { asked.withLock { $0.compactMap { ($0 as? JobResultsRequest)?.byteOffset } } }
    }

    // MARK: Results

    private let ranges = [
        ChangedRange(offset: 4_608, length: 512, kind: .data), ChangedRange(offset: 9_216, length: 512, kind: .zero),
    ]

    private func answer(_ window: Range<UInt64>) -> Answer {
        let cuts = [5_120, 8_192].filter { window.lowerBound < $0 && $0 < window.upperBound } as [UInt64]
        return Answer(ranges.filter { $0.offset >= window.lowerBound }, size: 65_536, window: window, cuts: cuts)
    }

    private func results(_ server: Server, offset: UInt64 = 0) async throws -> RangeStream {
        try await DiskDeltaClient(server, ranges: Self.options)
            .jobResults(JobResultsRequest(id: "{1}", byteOffset: offset))
    }

    private func read(_ stream: RangeStream) async throws(CallError) -> [ChangedRange] {
        var ranges: [ChangedRange] = []
        for try await batch in stream { ranges += batch.ranges }
        return ranges
    }

    @Test("The window is the job's own, or begins where it was asked to")
    func theWindow() async throws {
        for (offset, start) in [(0, 0), (0, 4_096), (4_096, 4_096), (8_192, 8_192)] as [(UInt64, UInt64)] {
            let answer = answer(start..<32_768)
            let stream = try await results(Server([(answer.messages, .success(answer.details))]), offset: offset)
            #expect(stream.header.windowOffset == start)
            #expect(try await read(stream) == answer.ranges)
            #expect(await stream.totals == answer.details.totals)
        }
        for (offset, start) in [(4_096, 0), (4_096, 8_192), (8_192, 4_096)] as [(UInt64, UInt64)] {
            let answer = answer(start..<32_768)
            let server = Server([(answer.messages, .success(answer.details))])
            let error = await #expect(throws: CallError.self) { _ = try await results(server, offset: offset) }
            #expect(error?.message.contains("P-63") == true)
        }
    }

    @Test func resultsThatBreakAreAskedForAgain() async throws {
        let whole = answer(4_096..<32_768)
        let positions: [UInt64] = [4_096, 5_120, 8_192, 32_768]
        for count in 1...whole.messages.count {
            let position = positions[count - 1]
            let rest = answer(position..<32_768)
            let server = Server([
                (Array(whole.messages.prefix(count)), .failure(Self.broke)), (rest.messages, .success(rest.details)),
            ])
            let stream = try await results(server)
            #expect(try await read(stream) == ranges)
            #expect(await stream.totals == whole.details.totals)
            #expect(server.offsets == [0, position])
        }
    }

    @Test func theWindowOfThePartIsTheRest() async throws {
        let whole = answer(4_096..<32_768)
        for wrong in [answer(0..<32_768), answer(5_120..<16_384), answer(5_120..<65_536), answer(8_192..<32_768)] {
            let server = Server([
                (Array(whole.messages.prefix(2)), .failure(Self.broke)), (wrong.messages, .success(wrong.details)),
            ])
            let stream = try await results(server)
            let error = await #expect(throws: CallError.self) { try await read(stream) }
            #expect(error?.message.contains("P-63") == true, "\(error?.message ?? "")")
        }
    }

    @Test("Why a job failed", arguments: [Reason.jobNotReady, .jobNotFound, .epochChanged, .cancelled])
    func failedJobs(reason: Reason) async throws {
        let server = Server([([], .failure(CallError(reason, "so it is")))])
        let error = await #expect(throws: CallError.self) { _ = try await results(server) }
        #expect(error?.reason == reason)
    }

    // MARK: The end

    private static func job(_ state: JobState, percent: UInt32 = 0, reason: Reason = .none) -> Job {
        Job(id: "{1}", jobState: state, percentComplete: percent, reason: reason)
    }

    private func end(_ server: Server, _ options: CallOptions = CallOptions()) async throws(CallError) -> Job {
        try await DiskDeltaClient(server, ranges: Self.options).endOfJob("{1}", options: options)
    }

    @Test func theLastStateIsReturned() async throws {
        let states = [Self.job(.new), Self.job(.running, percent: 50), Self.job(.completed, percent: 100)]
        #expect(try await end(Server([(states, .success(StatusDetails()))])) == states[2])
        // A job that had ended before.
        for state in [JobState.completed, .terminated, .exception] {
            #expect(try await end(Server([([Self.job(state)], .success(StatusDetails()))])).jobState == state)
        }
    }

    @Test func aServerThatGoesAwayIsAskedAnew() async throws {
        let server = Server([
            ([Self.job(.running)], .failure(Self.broke)), ([], .failure(Self.broke)),
            ([Self.job(.running), Self.job(.completed)], .success(StatusDetails())),
        ])
        #expect(try await end(server, CallOptions(timeout: .seconds(60))).jobState == .completed)
        let options = server.options.withLock { $0 }
        #expect(options.count == 3)
        #expect(!options[0].waitForReady && options[1].waitForReady && options[2].waitForReady)
        #expect(options[2].timeout.map { $0 < .seconds(60) } == true)
        // It is a new question each time.
        #expect(options.allSatisfy { $0.previousAttempts == 0 })
    }

    @Test func whatEndsTheWaiting() async throws {
        let never = Server([([], .failure(Self.broke))])
        let away = await #expect(throws: CallError.self) { try await end(never) }
        #expect(away?.reason == .serverUnavailable)
        for reason in [Reason.jobNotFound, .deadline, .accessDenied] {
            let server = Server([([Self.job(.running)], .failure(CallError(reason, "so it is")))])
            let error = await #expect(throws: CallError.self) { try await end(server) }
            #expect(error?.reason == reason)
        }
        for states in [[], [Self.job(.running)], [Self.job(.unknown)]] as [[Job]] {
            let error = await #expect(throws: CallError.self) {
                try await end(Server([(states, .success(StatusDetails()))]))
            }
            #expect(error?.reason == .answerInvalid)
        }
    }

    @Test func patienceEnds() async throws {
        var options = Self.options
        options.resuming.maximumAttempts = 2
        let server = Server([
            ([Self.job(.running)], .failure(Self.broke)), ([], .failure(Self.broke)), ([], .failure(Self.broke)),
        ])
        let client = DiskDeltaClient(server, ranges: options)
        let error = await #expect(throws: CallError.self) { try await client.endOfJob("{1}") }
        #expect(error?.reason == .serverUnavailable)
        #expect(server.asked.withLock { $0.count } == 3)
    }

    @Test func whyAJobIsNotCompleted() {
        #expect(Self.job(.completed).failure == nil)
        for state in [JobState.unknown, .new, .starting, .running] {
            #expect(!Self.job(state).hasEnded && Self.job(state, reason: .internal).failure == nil)
        }
        #expect(Self.job(.terminated).failure?.reason == .cancelled)
        #expect(Self.job(.exception).failure?.reason == .internal)
        var job = Self.job(.exception, reason: .epochChanged)
        job.errorDescription = "the disk changed"
        job.detailCode = 5
        #expect(job.failure?.reason == .epochChanged && job.failure?.status == .aborted)
        #expect(job.failure?.message == "the disk changed" && job.failure?.detailCode == 5)
        // A state of a later version is an end, and no success.
        #expect(Self.job(JobState(rawValue: 9)).failure?.reason == .internal)
    }
}

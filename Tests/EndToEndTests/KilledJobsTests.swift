import DiskDeltaClient
import DiskDeltaProtocol
import DiskDeltaTransport
import Foundation
import TestSupport
import Testing

/// A server that is killed at any moment has every job when it starts again: those that had ended with the same results, the
/// others on their way. `Benchmarks/Tools/kill-jobs` is the long form.
@Suite("Jobs and a server that is killed", .enabled(if: Programs.areBuilt, Programs.absence), .timeLimit(.minutes(4)))
struct KilledJobsTests {
    private let folder: TemporaryFolder
    private let state: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        state = try TemporaryFolder()
        try LargeAnswers.writeLong(in: folder)
        _ = try LargeAnswers.writeShort(in: folder)
    }

    private var arguments: [String] { ["--state", state.file("jobs")] }

    private func start() throws -> RunningServer { try RunningServer.start(root: folder, arguments: arguments) }

    /// The header and the ranges of an answer, each message of it as a client takes it.
    private func answer(_ call: TypedCall<RangeAnswer>) async throws -> [RangeAnswer] {
        var answers: [RangeAnswer] = []
        while let answer = try await call.next() { answers.append(answer) }
        return answers
    }

    @Test("No job is lost, and no result is another", arguments: [11, 12] as [UInt64])
    func killing(seed: UInt64) async throws {
        print("killed servers: seed \(seed)")
        var generator = RepeatableGenerator(seed: seed)
        var server = try start()
        var expected: [String: [RangeAnswer]] = [:]
        var started: [String: String] = [:]
        let questions = [LargeAnswers.long, LargeAnswers.short]
        for kill in 0..<4 {
            let connection = try await RPCConnection.connect(to: Endpoint(server.tcp))
            let jobs = JobsClient(connection)
            for question in questions where expected[question.path] == nil {
                expected[question.path] = try await answer(
                    ImageManagementClient(connection).getVirtualDiskChanges(question)
                )
            }
            // All jobs of before are there.
            let there = try await jobs.listJobs(ListJobsRequest()).jobs
            #expect(Set(there.map(\.id)) == Set(started.keys), "after kill \(kill)")
            for job in there { #expect(job.jobState != .exception && job.jobState != .terminated, "\(job)") }
            for _ in 0..<3 {
                let question = questions[Int.random(in: 0..<2, using: &generator)]
                let job = try await jobs.startGetVirtualDiskChanges(question)
                #expect(job.returnValue == 4096)
                started[job.id] = question.path
            }
            // A moment of any kind: nothing depends on which it is.
            try await Task.sleep(for: .milliseconds(Int.random(in: 0...400, using: &generator)))
            server.kill()
            await connection.close()
            server = try start()
        }
        let connection = try await RPCConnection.connect(to: Endpoint(server.tcp))
        let jobs = JobsClient(connection)
        for (id, path) in started {
            let watch = try await jobs.watchJob(JobRequest(id: id))
            var last: Job?
            while let job = try await watch.next() { last = job }
            #expect(last?.jobState == .completed && last?.percentComplete == 100, "\(String(describing: last))")
            let results = try await answer(jobs.getJobResults(JobResultsRequest(id: id)))
            let same = try #require(expected[path])
            #expect(results.first == same.first)
            #expect(try Self.ranges(results) == Self.ranges(same), "\(id) of \(path)")
        }
        await connection.close()
        #expect(try server.stop().status == 0)
    }

    /// The ranges of an answer: how they are spread over messages is not the same each time.
    private static func ranges(_ answers: [RangeAnswer]) throws -> [UInt64] {
        guard case .header(let header)? = answers.first?.part else { throw CallError(.answerInvalid, "no header") }
        var ranges: [UInt64] = []
        var position = header.windowOffset
        for answer in answers.dropFirst() {
            var place = position
            switch answer.part {
            case .runs(let runs):
                let zero = Array(runs.zero)
                for (index, (gap, units)) in zip(Array(runs.gap), Array(runs.length)).enumerated() {
                    let length = units * header.unit
                    let isZero = !zero.isEmpty && zero[index / 8] >> UInt8(index % 8) & 1 == 1
                    place += gap * header.unit
                    ranges += [place, length, isZero ? 1 : 0]
                    place += length
                }
                position = runs.processedEnd
            case .bitmap(let bitmap):
                var start: UInt64?
                let bits = Array(bitmap.bits)
                for unit in 0...bits.count * 8 {
                    let isSet = unit < bits.count * 8 && bits[unit / 8] >> UInt8(unit % 8) & 1 == 1
                    let here = position + UInt64(unit) * header.unit
                    if isSet, start == nil { start = here }
                    if !isSet, let first = start {
                        ranges += [first, here - first, 0]
                        start = nil
                    }
                }
                position = bitmap.processedEnd
            default: throw CallError(.answerInvalid, "a second header")
            }
        }
        return ranges
    }

    @Test("A server that is asked to stop leaves its jobs to the next, and only one uses a state folder")
    func stopping() async throws {
        let server = try start()
        let second = try Programs.diskdeltad.run(
            ["--root", "d=\(folder.path)", "--listen", "127.0.0.1:0", "--log-level", "error"] + arguments,
            in: folder,
            seconds: 20
        )
        #expect(second.status == 2 && second.output == "")
        let line = "diskdeltad: The state folder \(state.file("jobs")) is in use by another server\n"
        #expect(second.error == line)
        let connection = try await RPCConnection.connect(to: Endpoint(server.tcp))
        let info = try await ServerInfoClient(connection).getServerInfo(GetServerInfoRequest())
        #expect(info.features.contains("jobs"))
        #expect(info.methods.contains("diskdelta.v1.Jobs/GetJobResults"))
        #expect(info.limits?.maxJobsPerIdentity == 16 && info.limits?.jobRetention == 604_800)
        let job = try await JobsClient(connection).startGetVirtualDiskChanges(LargeAnswers.long)
        await connection.close()
        #expect(try server.stop().status == 0)
        let next = try start()
        let again = try await RPCConnection.connect(to: Endpoint(next.tcp))
        let watch = try await JobsClient(again).watchJob(JobRequest(id: job.id))
        var last: Job?
        while let job = try await watch.next() { last = job }
        #expect(last?.jobState == .completed && last?.totals?.ranges == 300 * 1_024)
        await again.close()
        #expect(try next.stop().status == 0)
    }

    @Test("Without a state folder there are no jobs, and the answer says what to do")
    func withoutState() async throws {
        try await RunningServer.with(folder) { server in
            let connection = try await RPCConnection.connect(to: Endpoint(server.tcp))
            let jobs = JobsClient(connection)
            let error = await #expect(throws: CallError.self) {
                try await jobs.startGetVirtualDiskChanges(LargeAnswers.short)
            }
            #expect(error?.reason == .unsupported)
            #expect(error?.message.contains("--state") == true)
            let list = await #expect(throws: CallError.self) { try await jobs.listJobs(ListJobsRequest()) }
            #expect(list?.reason == .unsupported)
            let info = try await ServerInfoClient(connection).getServerInfo(GetServerInfoRequest())
            #expect(!info.features.contains("jobs") && info.limits?.maxJobsPerIdentity == 0)
            await connection.close()
        }
    }
}

import DiskDeltaClient
import DiskDeltaProtocol
import Foundation
import Synchronization
import TestSupport
import Testing

/// Answers of a real server whose connections break, or which is killed and started again: the whole answer, or an error.
@Suite("Resumed answers", .enabled(if: Programs.areBuilt, Programs.absence), .timeLimit(.minutes(5)))
struct ResumedAnswerTests {
    private let folder: TemporaryFolder
    private let expected: [ChangedRange]

    init() throws {
        folder = try TemporaryFolder()
        expected = try LargeAnswers.writeShort(in: folder)
    }

    /// Without much waiting: what is tested is not how long it takes.
    private static func options() -> ClientOptions {
        var options = ClientOptions()
        let waiting = BackoffPolicy(initial: .milliseconds(1), multiplier: 1.6, maximum: .milliseconds(50), jitter: 0.2)
        options.reconnecting = waiting
        options.ranges.resuming.waiting = waiting
        return options
    }

    private func read(
        _ address: String,
        _ request: GetVirtualDiskChangesRequest = LargeAnswers.short,
        _ options: ClientOptions = options()
    ) async throws -> [ChangedRange] {
        try await withDiskDeltaClient(to: address, options: options) { client in
            try await Asking.ranges(try await client.changes(request))
        }
    }

    @Test("Cut once, at every byte after the header", arguments: [false, true])
    func cutAtEveryByte(reset: Bool) async throws {
        let server = try RunningServer.start(root: folder)
        let answer = try RecordedAnswer(LargeAnswers.short, at: server.tcp)
        for cut in stride(from: answer.headerEnd, through: answer.bytes.count, by: reset ? 7 : 1) {
            let proxy = try CuttingProxy(to: server.tcp, cuts: [cut], reset: reset)
            do {
                #expect(try await read(proxy.address) == expected, "cut at \(cut)")
            } catch let error as CallError where reset {
                // What a reset destroys may be the header.
                #expect(error.reason == .serverUnavailable, "cut at \(cut)")
            }
        }
        #expect(try server.stop().status == 0)
    }

    @Test("Cut before the end of the header: nothing is resumed")
    func cutBeforeTheHeader() async throws {
        let server = try RunningServer.start(root: folder)
        let answer = try RecordedAnswer(LargeAnswers.short, at: server.tcp)
        // After exactly its opening the connection may end before the call was sent, which is then made again (P-93).
        for cut in 0..<answer.headerEnd where cut != answer.opening.count {
            let proxy = try CuttingProxy(to: server.tcp, cuts: [cut])
            let error = await #expect(throws: CallError.self) { try await read(proxy.address) }
            #expect(error?.reason == .serverUnavailable, "cut at \(cut)")
            #expect(proxy.connections == 1, "cut at \(cut)")
        }
        #expect(try server.stop().status == 0)
    }

    @Test("A long answer, cut again and again at random", arguments: (1...6).map { UInt64($0) &* 0x9E37_79B9 })
    func cutAtRandom(seed: UInt64) async throws {
        print("cut answers: seed \(seed)")
        var generator = RepeatableGenerator(seed: seed)
        try LargeAnswers.writeLong(in: folder, blocks: 100)
        let server = try RunningServer.start(root: folder)
        let whole = try await read(server.tcp, LargeAnswers.long)
        #expect(whole.count == 100 * 1_024)
        let length = try RecordedAnswer(LargeAnswers.long, at: server.tcp).bytes.count
        for round in 0..<8 {
            let cuts = (0..<Int.random(in: 1...12, using: &generator)).map { index in
                // The first connection gets to the header.
                Int.random(in: (index == 0 ? 400 : 0)...length / (round % 3 + 1), using: &generator)
            }
            let proxy = try CuttingProxy(to: server.tcp, cuts: cuts, reset: generator.chance(50))
            let events = Mutex(0)
            var options = Self.options()
            options.ranges.observer = { event in events.withLock { $0 += event.kind == .resumed ? 1 : 0 } }
            do {
                #expect(try await read(proxy.address, LargeAnswers.long, options) == whole, "seed \(seed)")
            } catch let error as CallError {
                // Where the first connection broke before the header had come.
                #expect(error.reason == .serverUnavailable, "seed \(seed): \(error)")
                #expect(events.withLock { $0 } == 0, "seed \(seed): \(error)")
            }
        }
        #expect(try server.stop().status == 0)
    }

    @Test func aDiskThatChangedMeanwhileIsNotResumed() async throws {
        let server = try RunningServer.start(root: folder)
        let answer = try RecordedAnswer(LargeAnswers.short, at: server.tcp)
        let proxy = try CuttingProxy(to: server.tcp, cuts: [answer.headerEnd + 20])
        var options = Self.options()
        let file = folder.file("s.avhdx")
        options.ranges.observer = { event in
            guard event.kind == .broke else { return }
            // Another disk in its place, with the same name.
            try? FileManager.default.setAttributes([.modificationDate: Date.distantPast], ofItemAtPath: file)
        }
        let error = await #expect(throws: CallError.self) { try await read(proxy.address, LargeAnswers.short, options) }
        #expect(error?.reason == .epochChanged)
        #expect(error?.resumeOffset != nil)
        #expect(try server.stop().status == 0)
    }

    // MARK: The command line

    private let question = ["changes", LargeAnswers.short.path, "--since", LargeAnswers.short.limitID]

    @Test func theCommandLineResumes() throws {
        let server = try RunningServer.start(root: folder)
        let answer = try RecordedAnswer(LargeAnswers.short, at: server.tcp)
        let lines = Asking.lines(expected, processed: 12_800 << 20)
        for cut in stride(from: answer.headerEnd, to: answer.bytes.count, by: 37) {
            let proxy = try CuttingProxy(to: server.tcp, cuts: [cut, answer.headerEnd, nil])
            let outcome = try Programs.diskdelta.run(["--server", proxy.address] + question, in: folder)
            #expect(outcome.status == 0, "cut at \(cut): \(outcome.error)")
            #expect(Array(outcome.lines.dropFirst()) == lines, "cut at \(cut)")
        }
        #expect(try server.stop().status == 0)
    }

    @Test func exitSixComesWhenResumingHasFailed() throws {
        let server = try RunningServer.start(root: folder)
        let answer = try RecordedAnswer(LargeAnswers.short, at: server.tcp)
        // Every connection after the first breaks before it has said anything.
        let proxy = try CuttingProxy(to: server.tcp, cuts: [answer.bytes.count - 1] + Array(repeating: 0, count: 1_000))
        let outcome = try Programs.diskdelta.run(
            ["--server", proxy.address, "--patience", "600ms"] + question,
            in: folder
        )
        #expect(outcome.status == 6, "\(outcome.error)")
        #expect(outcome.lastText("reason") == "ANSWER_INCOMPLETE")
        #expect(outcome.lastNumber("resume_offset") == 12_800 << 20)
        #expect(outcome.error.contains("to resume it failed"), "\(outcome.error)")
        #expect(proxy.connections > 1)
        // A deadline wins.
        let late = try CuttingProxy(to: server.tcp, cuts: [answer.bytes.count - 1] + Array(repeating: 0, count: 1_000))
        let outOfTime = try Programs.diskdelta.run(
            ["--server", late.address, "--deadline", "800ms", "--patience", "60s"] + question,
            in: folder
        )
        #expect(outOfTime.status == 8, "\(outOfTime.output)")
        #expect(try server.stop().status == 0)
    }
}

import DiskDeltaClient
import DiskDeltaProtocol
import Foundation
import Synchronization
import TestSupport
import Testing

/// The `job` commands, character by character, at a server whose jobs are known.
@Suite(
    "The command line about jobs",
    .enabled(if: Programs.diskdelta.isBuilt, "\(Programs.diskdelta.absence)"),
    .timeLimit(.minutes(2))
)
struct JobCommandTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private static let ranges = [
        ChangedRange(offset: 512, length: 1_024, kind: .data), ChangedRange(offset: 65_536, length: 512, kind: .data),
    ]

    private static let question = GetVirtualDiskChangesRequest(path: "d/c.avhdx", limitID: "b", targetSnapshotID: "t")

    private static let completed = Job(
        id: "{1}",
        jobState: .completed,
        percentComplete: 100,
        startTime: "2026-01-02T03:04:05Z",
        elapsedTime: 12_034,
        request: question,
        totals: AnswerTotals(ranges: 2, bytes: 1_536),
        expires: "2026-01-09T03:04:05Z",
        since: "{b}",
        target: "{t}"
    )
    private static let running = Job(
        id: "{2}",
        jobState: .running,
        percentComplete: 50,
        startTime: "2026-01-02T03:04:05Z",
        elapsedTime: 7,
        returnValue: 4_096,
        request: question,
        since: "{b}"
    )
    private static let failed = Job(
        id: "{3}",
        jobState: .exception,
        percentComplete: 20,
        elapsedTime: 1_000,
        errorCode: 32_775,
        errorDescription: "The disk \"changed\"",
        returnValue: 32_775,
        request: question,
        reason: .epochChanged
    )
    private static let cancelled = Job(
        id: "{4}",
        jobState: .terminated,
        errorCode: 32_768,
        errorDescription: "It was cancelled",
        returnValue: 32_768,
        request: question,
        reason: .cancelled
    )

    private static let completedLine =
        #"{"type":"job","id":"{1}","job_state":"completed","job_state_code":7,"percent_complete":100,"#
        + #""start_time":"2026-01-02T03:04:05Z","elapsed_time":12.034,"error_code":0,"error_description":"","#
        + #""return_value":0,"disk":"d/c.avhdx","since":"{b}","target":"{t}"}"#
    private static let runningLine =
        #"{"type":"job","id":"{2}","job_state":"running","job_state_code":4,"percent_complete":50,"#
        + #""start_time":"2026-01-02T03:04:05Z","elapsed_time":0.007,"error_code":0,"error_description":"","#
        + #""return_value":4096,"disk":"d/c.avhdx","since":"{b}","target":"t"}"#
    private static let failedLine =
        #"{"type":"job","id":"{3}","job_state":"exception","job_state_code":10,"percent_complete":20,"#
        + #""start_time":"","elapsed_time":1.000,"error_code":32775,"error_description":"The disk \"changed\"","#
        + #""return_value":32775,"disk":"d/c.avhdx","since":"b","target":"t"}"#

    private func jobs(_ jobs: [Job] = [completed, running, failed, cancelled]) -> ScriptedJobs {
        ScriptedJobs(jobs, results: ScriptedRanges(disk: "d/c.avhdx", Self.ranges))
    }

    private func run(_ jobs: ScriptedJobs? = nil, _ arguments: String...) async throws -> BuiltProgram.Outcome {
        try await run(jobs ?? self.jobs(), arguments)
    }

    private func run(_ jobs: ScriptedJobs, _ arguments: [String]) async throws -> BuiltProgram.Outcome {
        try await ScriptedServer.with(jobs.router) { address in
            try await Programs.diskdelta.runAside(["--server", address, "job"] + arguments, in: folder)
        }
    }

    // MARK: start

    @Test func start() async throws {
        let jobs = jobs()
        let flags = [
            "--target", "t", "--offset", "1K", "--length", "4K", "--granularity", "2K", "--if-epoch", "e",
            "--on-unavailable", "allocated", "--image-format", "qcow2", "--if-size", "1T",
        ]
        let line =
            #"{"type":"job","id":"{new}","job_state":"new","job_state_code":2,"percent_complete":0,"start_time":"","#
            + #""elapsed_time":0.000,"error_code":0,"error_description":"","return_value":4096,"disk":"d/x.vhdx","#
            + #""since":"{canonical}","target":"t"}"#
        for format in ["ndjson", "json"] {
            let outcome = try await run(jobs, ["start", "d/x.vhdx", "--since", "b", "--format", format] + flags)
            #expect(outcome.output == line + "\n" && outcome.status == 0 && outcome.error == "")
        }
        let asked = GetVirtualDiskChangesRequest(
            path: "d/x.vhdx",
            limitID: "b",
            targetSnapshotID: "t",
            byteOffset: 1_024,
            byteLength: 4_096,
            granularity: 2_048,
            ifEpoch: "e",
            onUnavailable: .allocated,
            imageFormat: .qcow2,
            ifSize: 1 << 40
        )
        #expect(jobs.started.withLock { $0 } == [asked, asked])
        let table = try await run(jobs, "start", "d/x.vhdx", "--since", "b", "--format", "table")
        #expect(table.status == 0 && table.lines.contains("job      {new}"))
    }

    @Test func aQuestionThatIsRefusedMakesNoJob() async throws {
        let outcome = try await run(nil, "start", "missing", "--since", "b", "--offset", "1K")
        #expect(outcome.status == 3 && outcome.lines.count == 1)
        #expect(outcome.lastText("reason") == "FILE_NOT_FOUND" && outcome.lastNumber("resume_offset") == 1_024)
        let granularity = try await run(nil, "start", "d/x.vhdx", "--since", "b", "--granularity", "0")
        #expect(granularity.status == 2 && granularity.lastText("reason") == "INVALID_PARAMETER")
    }

    // MARK: list, show

    @Test func list() async throws {
        let some = jobs([Self.completed, Self.running, Self.failed])
        let lines = [Self.completedLine, Self.runningLine, Self.failedLine]
        #expect(try await run(some, "list").lines == lines)
        let document = try await run(some, "list", "--format", "json")
        #expect(document.output == #"{"type":"jobs","jobs":[\#(lines.joined(separator: ","))]}"# + "\n")
        #expect(document.status == 0)
        let table = try await run(some, "list", "--format", "table")
        #expect(
            table.lines == [
                "{1}  100 %  completed   d/c.avhdx", "{2}   50 %  running     d/c.avhdx",
                "{3}   20 %  exception   d/c.avhdx",
            ]
        )
    }

    @Test("No jobs", arguments: [("ndjson", []), ("json", [#"{"type":"jobs","jobs":[]}"#]), ("table", ["no jobs"])])
    func emptyList(format: String, lines: [String]) async throws {
        let outcome = try await run(jobs([]), "list", "--format", format)
        #expect(outcome.lines == lines && outcome.status == 0)
    }

    @Test func show() async throws {
        for (id, line) in [("{1}", Self.completedLine), ("{2}", Self.runningLine), ("{3}", Self.failedLine)] {
            for format in ["ndjson", "json"] {
                let outcome = try await run(nil, "show", id, "--format", format)
                // That a job failed is no failure of looking at it.
                #expect(outcome.output == line + "\n" && outcome.status == 0 && outcome.error == "")
            }
        }
        let table = try await run(nil, "show", "{3}", "--format", "table")
        #expect(table.status == 0)
        #expect(table.lines.contains("failed   EPOCH_CHANGED: The disk \"changed\""))
    }

    // MARK: wait

    @Test func waitForOneThatCompletes() async throws {
        for format in ["ndjson", "json"] {
            let outcome = try await run(nil, "wait", "{1}", "--format", format)
            #expect(outcome.output == Self.completedLine + "\n" && outcome.status == 0 && outcome.error == "")
        }
        let table = try await run(nil, "wait", "{1}", "--format", "table")
        #expect(table.status == 0 && table.lines.contains("state    completed, 100 %"))
    }

    @Test("A job that fails fails the waiting, in the same way")
    func waitForOneThatFails() async throws {
        for reason in Reason.all where reason != .none {
            var job = Self.failed
            job.reason = reason
            let outcome = try await run(jobs([job]), "wait", "{3}")
            #expect(outcome.status == Int32(reason.exitCode), "\(reason)")
            #expect(outcome.lines.count == 1 && outcome.lastText("type") == "error", "\(reason)")
            #expect(outcome.lastText("reason") == reason.name && outcome.lastText("status") == reason.status.name)
            #expect(outcome.lastText("message") == "The disk \"changed\"")
            #expect(outcome.error == "diskdelta: The disk \"changed\"\n")
        }
        let stopped = try await run(nil, "wait", "{4}", "--format", "json")
        #expect(stopped.status == 130 && stopped.lines.count == 1 && stopped.lastText("reason") == "CANCELLED")
        let table = try await run(nil, "wait", "{3}", "--format", "table")
        #expect(table.status == 5 && table.output == "" && table.error == "diskdelta: The disk \"changed\"\n")
    }

    // MARK: results

    @Test func results() async throws {
        let jobs = jobs()
        let answer = ScriptedRanges(disk: "d/c.avhdx", Self.ranges)
        let outcome = try await run(jobs, "results", "{1}")
        #expect(outcome.lines == [answer.headerLine()] + answer.lines() && outcome.status == 0)
        let document = try await run(jobs, "results", "{1}", "--format", "json")
        let lines = answer.lines()
        #expect(
            document.output
                == #"{"header":\#(answer.headerLine()),"ranges":[\#(lines.dropLast().joined(separator: ","))],"#
                + #""end":\#(lines.last ?? "")}"# + "\n"
        )
        let rest = try await run(jobs, "results", "{1}", "--offset", "32K")
        let end = ScriptedRanges(disk: "d/c.avhdx", Self.ranges, from: 32_768)
        #expect(rest.lines == [end.headerLine()] + end.lines() && rest.status == 0)
        #expect(jobs.offsets.withLock { $0 } == [0, 0, 32_768])
    }

    @Test func resultsThatAreNotThere() async throws {
        for (id, code, reason) in [
            ("{2}", 1, "JOB_NOT_READY"), ("{3}", 5, "EPOCH_CHANGED"), ("{4}", 130, "CANCELLED"),
            ("{5}", 3, "JOB_NOT_FOUND"),
        ] as [(String, Int32, String)] {
            let outcome = try await run(nil, "results", id)
            #expect(outcome.status == code && outcome.lines.count == 1, "\(id): \(outcome.output)")
            #expect(outcome.lastText("type") == "error" && outcome.lastText("reason") == reason)
            let document = try await run(nil, "results", id, "--format", "json")
            #expect(document.status == code)
            #expect(document.output.hasPrefix(#"{"header":null,"ranges":[],"error":{"type":"error","#))
        }
    }

    // MARK: cancel, delete

    @Test func cancel() async throws {
        let outcome = try await run(nil, "cancel", "{2}")
        #expect(outcome.status == 0 && outcome.lastText("job_state") == "terminated")
        #expect(outcome.lastNumber("job_state_code") == 8)
        // One that has ended stays as it is.
        #expect(try await run(nil, "cancel", "{1}").output == Self.completedLine + "\n")
    }

    @Test func delete() async throws {
        let jobs = jobs()
        #expect(try await run(jobs, "delete", "{1}").output == Self.completedLine + "\n")
        #expect(jobs.ids == ["{2}", "{3}", "{4}"])
        let again = try await run(jobs, "delete", "{1}", "--format", "json")
        #expect(again.status == 3 && again.lastText("reason") == "JOB_NOT_FOUND")
        let early = try await run(jobs, "delete", "{2}")
        #expect(early.status == 1 && early.lastText("reason") == "JOB_NOT_READY" && early.lines.count == 1)
        #expect(early.lastNumber("return_value") == 32_775)
        #expect(jobs.ids == ["{2}", "{3}", "{4}"])
    }

    @Test func deletingADamagedJob() async throws {
        let jobs = jobs([Self.running, Job(id: "{5}", errorDescription: "The record is damaged")])
        let shown = try await run(jobs, "show", "{5}")
        #expect(shown.status == 1 && shown.lastText("message") == "The record is damaged")
        let outcome = try await run(jobs, "delete", "{5}")
        #expect(outcome.status == 0 && outcome.lastText("id") == "{5}")
        #expect(outcome.lastText("job_state") == "exception" && outcome.lastNumber("error_code") == 32_768)
        #expect(outcome.lastText("error_description") == "The record is damaged")
        #expect(jobs.ids == ["{2}"])
    }

    // MARK: What is not there

    @Test("A job that is not there", arguments: ["show", "wait", "results", "cancel", "delete"])
    func unknown(command: String) async throws {
        for id in ["{9}", "", "no id"] {
            let outcome = try await run(nil, command, id)
            #expect(outcome.status == 3 && outcome.lastText("reason") == "JOB_NOT_FOUND")
            #expect(outcome.lastText("status") == "NOT_FOUND" && outcome.lastNumber("return_value") == 32_779)
            #expect(outcome.error.filter { $0 == "\n" }.count == 1)
        }
    }

    @Test("A server that keeps no jobs")
    func noJobs() async throws {
        let outcome = try await ScriptedServer.with(ServiceRouter()) { address in
            try await Programs.diskdelta.runAside(["--server", address, "job", "list"], in: folder)
        }
        #expect(outcome.status == 1 && outcome.lastText("reason") == "UNSUPPORTED")
    }

    @Test("A server that is not there")
    func nobody() throws {
        for arguments in [["list"]] + ["show", "wait", "results", "cancel", "delete"].map({ [$0, "x"] }) {
            let outcome = try Programs.diskdelta.run(["--server", "127.0.0.1:1", "job"] + arguments, in: folder)
            #expect(outcome.status == 7 && outcome.lastText("reason") == "SERVER_UNAVAILABLE", "\(arguments)")
        }
    }
}

import DiskDeltaClient
import DiskDeltaProtocol
import Foundation
import TestSupport
import Testing

/// Jobs of a real server, from their start to their end.
@Suite(
    "Jobs on the command line",
    .enabled(if: Programs.diskdelta.isBuilt && Programs.diskdeltad.isBuilt, Programs.absence),
    .timeLimit(.minutes(3))
)
struct JobLifeTests {
    private let folder: TemporaryFolder
    private let state: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        state = try TemporaryFolder()
        _ = try LargeAnswers.writeShort(in: folder)
    }

    private func start(tcp: String = "127.0.0.1:0") throws -> RunningServer {
        try RunningServer.start(root: folder, tcp: tcp, arguments: ["--state", state.path])
    }

    private func run(_ server: RunningServer, _ arguments: String...) throws -> BuiltProgram.Outcome {
        try Programs.diskdelta.run(["--server", server.tcp] + arguments, in: folder)
    }

    private func startJob(_ server: RunningServer, _ more: String...) throws -> String {
        let outcome = try Programs.diskdelta.run(
            ["--server", server.tcp, "job", "start", LargeAnswers.short.path, "--since", LargeAnswers.baseID] + more,
            in: folder
        )
        #expect(outcome.status == 0, "\(outcome.error)")
        #expect(outcome.lines.count == 1 && outcome.lastNumber("return_value") == 4_096)
        #expect(outcome.lastText("disk") == LargeAnswers.short.path && outcome.lastText("since") == LargeAnswers.baseID)
        return try #require(outcome.lastText("id"))
    }

    @Test func fromStartToDelete() throws {
        let server = try start()
        let direct = try run(server, "changes", LargeAnswers.short.path, "--since", LargeAnswers.baseID)
        #expect(direct.status == 0)
        let id = try startJob(server)
        let ended = try run(server, "job", "wait", id)
        #expect(ended.status == 0, "\(ended.error)")
        #expect(ended.lastText("job_state") == "completed" && ended.lastNumber("job_state_code") == 7)
        #expect(ended.lastNumber("percent_complete") == 100 && ended.lastNumber("return_value") == 0)
        #expect(try run(server, "job", "show", id).output == ended.output)
        #expect(try run(server, "job", "list").output == ended.output)
        // As often as wanted, and the same as the answer that was asked for directly.
        for _ in 0..<2 { #expect(try run(server, "job", "results", id).lines == direct.lines) }
        let document = try run(server, "job", "results", id, "--format", "json")
        #expect(document.status == 0 && document.lines.count == 1)
        let rest = try run(server, "job", "results", id, "--offset", "4G")
        let later = try run(
            server,
            "changes",
            LargeAnswers.short.path,
            "--since",
            LargeAnswers.baseID,
            "--offset",
            "4G"
        )
        #expect(rest.lines == later.lines && rest.status == 0)
        // One that has ended stays as it is.
        #expect(try run(server, "job", "cancel", id).output == ended.output)
        #expect(try run(server, "job", "delete", id).output == ended.output)
        for command in ["show", "wait", "results", "cancel", "delete"] {
            let gone = try run(server, "job", command, id)
            #expect(gone.status == 3 && gone.lastText("reason") == "JOB_NOT_FOUND", "\(command)")
        }
        #expect(try run(server, "job", "list").output == "")
        #expect(try server.stop().status == 0)
    }

    @Test func aWindowOfADisk() throws {
        let server = try start()
        let flags = ["--offset", "3G", "--length", "4G", "--granularity", "64K"]
        let id = try startJob(server, "--offset", "3G", "--length", "4G", "--granularity", "64K")
        #expect(try run(server, "job", "wait", id).status == 0)
        let direct = try Programs.diskdelta.run(
            ["--server", server.tcp, "changes", LargeAnswers.short.path, "--since", LargeAnswers.baseID] + flags,
            in: folder
        )
        #expect(try run(server, "job", "results", id).lines == direct.lines)
        for offset in ["2G", "8G"] {
            let outside = try run(server, "job", "results", id, "--offset", offset)
            #expect(outside.status == 2 && outside.lastText("reason") == "OFFSET_OUT_OF_RANGE", "\(outside.output)")
        }
        #expect(try server.stop().status == 0)
    }

    @Test func questionsThatAreRefusedMakeNoJobs() throws {
        let server = try start()
        let missing = try run(server, "job", "start", "d/nothing.vhdx", "--since", LargeAnswers.baseID)
        #expect(missing.status == 3 && missing.lastText("reason") == "FILE_NOT_FOUND")
        let unknown = try run(server, "job", "start", LargeAnswers.short.path, "--since", "yesterday")
        #expect(unknown.status == 5 && unknown.lastText("reason") == "BASELINE_MALFORMED")
        #expect(try run(server, "job", "list", "--format", "json").output == #"{"type":"jobs","jobs":[]}"# + "\n")
        #expect(try server.stop().status == 0)
    }

    @Test func jobsOutliveTheServer() throws {
        var server = try start()
        let id = try startJob(server)
        #expect(try run(server, "job", "wait", id).status == 0)
        let results = try run(server, "job", "results", id)
        server.kill()
        server = try start(tcp: server.tcp)
        #expect(try run(server, "job", "wait", id).status == 0)
        #expect(try run(server, "job", "results", id).lines == results.lines)
        #expect(try server.stop().status == 0)
    }

    @Test func aServerWithoutStateKeepsNone() throws {
        let server = try RunningServer.start(root: folder)
        for arguments in [["list"], ["show", "x"], ["start", "d/s.avhdx", "--since", LargeAnswers.baseID]] {
            let outcome = try Programs.diskdelta.run(["--server", server.tcp, "job"] + arguments, in: folder)
            #expect(outcome.status == 1 && outcome.lastText("reason") == "UNSUPPORTED", "\(outcome.output)")
        }
        #expect(try server.stop().status == 0)
    }
}

import DiskDeltaClient
import DiskDeltaProtocol
import Foundation
import TestSupport
import Testing

/// Every reason that there is, provoked, and told alike by the C client, the Swift client and the command line: by its name,
/// its status, its return value and its exit code.
///
/// What a real server can be brought to say is brought out of a real one. The rest, what only other methods or other machines
/// say, a listener plays as the END of a call.
@Suite(
    "Every reason",
    .enabled(if: Programs.areBuilt && Programs.ask.isBuilt, Programs.absence),
    .timeLimit(.minutes(5))
)
struct EveryReasonTests {
    private let disks: ReasonDisks

    init() throws { disks = try ReasonDisks() }

    /// Where a question is put, and what it is.
    private struct Asked {
        var address: String
        var question: ReasonQuestion
        /// The token that the caller shows.
        var token: String?
        var timeout: Int?
    }

    // MARK: The three clients

    private func expect(
        _ reason: Reason,
        _ asked: Asked,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let question = asked.question
        let command = try Programs.diskdelta.run(commandLine(asked), in: disks.folder, seconds: 30)
        #expect(command.status == Int32(reason.exitCode), "\(reason.name): \(command)", sourceLocation: sourceLocation)
        #expect(command.lastText("reason") == reason.name, "\(command.output)", sourceLocation: sourceLocation)
        #expect(command.lastText("status") == reason.status.name, sourceLocation: sourceLocation)
        #expect(command.lastNumber("return_value") == UInt64(reason.returnValue), sourceLocation: sourceLocation)

        var arguments = [asked.address, "changes", question.disk, question.since, "patience=0"] + question.keys
        if let token = asked.token { arguments.append("token=\(token)") }
        if let timeout = asked.timeout { arguments.append("timeout=\(timeout)") }
        let plain = try Programs.ask.run(arguments, in: disks.folder, seconds: 30)
        #expect(plain.status == Int32(reason.exitCode), "\(reason.name): \(plain)", sourceLocation: sourceLocation)
        #expect(plain.error.hasPrefix("\(reason.name): "), "\(plain.error)", sourceLocation: sourceLocation)

        var options = ClientOptions()
        options.ranges.resuming = .off
        if let token = asked.token { options.interceptors = [try TokenAuthentication(token)] }
        let error = await #expect(throws: CallError.self, sourceLocation: sourceLocation) {
            try await withDiskDeltaClient(to: asked.address, options: options) { client in
                let timeout = asked.timeout.map { Duration.milliseconds($0) }
                let stream = try await client.changes(question.request, options: CallOptions(timeout: timeout))
                for try await _ in stream {}
            }
        }
        #expect(error?.reason == reason, "\(error?.description ?? "")", sourceLocation: sourceLocation)
        #expect(error?.status == reason.status, sourceLocation: sourceLocation)
    }

    private func commandLine(_ asked: Asked) throws -> [String] {
        var arguments = ["--server", asked.address, "--patience", "0s"]
        if let token = asked.token {
            try Data("\(token)\n".utf8).write(to: URL(fileURLWithPath: disks.folder.file("token")))
            arguments += ["--token-file", disks.folder.file("token")]
        }
        if let timeout = asked.timeout { arguments += ["--deadline", "\(timeout)ms"] }
        return arguments + ["changes", asked.question.disk, "--since", asked.question.since] + asked.question.flags
    }

    // MARK: What a real server says

    @Test func ofDisksAndQuestions() async throws {
        let provocations = try disks.provocations()
        try await RunningServer.with(disks.root) { server in
            for (reason, question) in provocations {
                try await expect(reason, Asked(address: server.tcp, question: question))
            }
        }
    }

    @Test func ofWhoAsks() async throws {
        let arguments = try disks.guardedServer(known: "known-token", useless: "useless-token")
        let server = try RunningServer.start(root: disks.root, arguments: arguments)
        defer { server.kill() }
        let question = disks.good
        try await expect(.unauthenticated, Asked(address: server.tcp, question: question))
        try await expect(.unauthenticated, Asked(address: server.tcp, question: question, token: "stranger"))
        try await expect(.accessDenied, Asked(address: server.tcp, question: question, token: "useless-token"))
    }

    // MARK: What a connection says

    @Test func ofConnections() async throws {
        let question = disks.good
        try await expect(
            .serverUnavailable,
            Asked(address: "unix:" + disks.folder.file("nobody"), question: question)
        )
        let silent = try ScriptedListener([disks.script([], ending: .silence)])
        try await expect(.deadline, Asked(address: silent.address, question: question, timeout: 300))
        try await RunningServer.with(disks.root) { server in
            let answer = try RecordedAnswer(question.request, at: server.tcp)
            let cut = try ScriptedListener([answer.script(prefix: answer.headerEnd)])
            try await expect(.answerIncomplete, Asked(address: cut.address, question: question))
            // A header, and then the end without what the ranges add up to.
            let header = answer.frames.prefix(1).flatMap(\.bytes)
            let wrong = try ScriptedListener([disks.script(header + ReasonDisks.end(nil))])
            try await expect(.answerInvalid, Asked(address: wrong.address, question: question))
        }
    }

    /// What only calls about jobs, writers of images, and machines that fail say, and what a server says of itself.
    private static let played: [Reason] = [
        .changedOffline, .readFailed, .alreadyExists, .diskInUse, .cancelled, .jobNotFound, .jobNotReady, .internal,
    ]

    @Test(arguments: played) func thatOthersSay(reason: Reason) async throws {
        let listener = try ScriptedListener([disks.script(ReasonDisks.end(CallError(reason, "This is why")))])
        try await expect(reason, Asked(address: listener.address, question: disks.good))
    }

    @Test func noneIsLeftOut() throws {
        var provoked = Set(Self.played + (try disks.provocations()).map(\.reason))
        provoked.formUnion([
            .unauthenticated, .accessDenied, .serverUnavailable, .deadline, .answerIncomplete, .answerInvalid, .none,
        ])
        #expect(Set(Reason.all).subtracting(provoked) == [])
    }
}

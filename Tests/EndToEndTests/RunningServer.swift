import Foundation
import TestSupport
import Testing

/// The programs under test.
enum Programs {
    static let diskdelta = BuiltProgram("diskdelta")
    static let diskdeltad = BuiltProgram("diskdeltad")
    /// The C client's example. `DISKDELTA_LIST_CHANGES` says where it is.
    static let listChanges = BuiltProgram(
        "list-changes",
        candidates: [
            ProcessInfo.processInfo.environment["DISKDELTA_LIST_CHANGES"] ?? "Clients/C/build/examples/list-changes"
        ]
    )

    /// The C client's example that speaks TLS. `DISKDELTA_LIST_CHANGES_TLS` says where it is.
    static let listChangesTLS = BuiltProgram(
        "list-changes-tls",
        candidates: [
            ProcessInfo.processInfo.environment["DISKDELTA_LIST_CHANGES_TLS"]
                ?? "Clients/C/build/examples/list-changes-tls"
        ]
    )

    /// The C client's test program that makes a call of any method. `DISKDELTA_ASK` says where it is.
    static let ask = BuiltProgram(
        "diskdelta_ask",
        candidates: [ProcessInfo.processInfo.environment["DISKDELTA_ASK"] ?? "Clients/C/build/tests/diskdelta_ask"]
    )

    static let all = [diskdelta, diskdeltad, listChanges]
    static var areBuilt: Bool { all.allSatisfy(\.isBuilt) }
    /// What tests that are skipped say.
    static var absence: Comment { "\(all.first { !$0.isBuilt }?.absence ?? "")" }
}

/// `diskdeltad` as a process, on a free port and on a Unix socket. Its only root is named `d`.
final class RunningServer: Sendable {
    /// `127.0.0.1:PORT`
    let tcp: String
    /// `unix:/path`
    let unix: String
    private let program: RunningProgram

    private init(tcp: String, unix: String, program: RunningProgram) {
        self.tcp = tcp
        self.unix = unix
        self.program = program
    }

    /// Starts a server of the folder `root`, and waits until it says that it listens.
    ///
    /// - Parameters:
    ///   - tcp: where it listens beside its Unix socket.
    ///   - arguments: what it is told besides.
    static func start(
        root: TemporaryFolder,
        tcp: String = "127.0.0.1:0",
        arguments: [String] = []
    ) throws -> RunningServer {
        let unix = "unix:" + root.file("socket")
        let program = try Programs.diskdeltad.start(
            ["--root", "d=\(root.path)", "--listen", tcp, "--listen", unix, "--log-level", "error"] + arguments,
            in: root
        )
        var printed = ""
        for _ in 0..<2_000 {
            printed = try program.outcome().output
            guard program.isRunning, printed.filter({ $0 == "\n" }).count < 2 else { break }
            Thread.sleep(forTimeInterval: 0.01)
        }
        let prefix = "listening on "
        let addresses = printed.split(separator: "\n").filter { $0.hasPrefix(prefix) }.map {
            $0.dropFirst(prefix.count)
        }
        guard addresses.count == 2, addresses[1] == unix else {
            throw BuiltProgram.Failure(description: "the server did not start: \(try program.outcome())")
        }
        return RunningServer(tcp: String(addresses[0]), unix: unix, program: program)
    }

    /// Lends a server to `body` and stops it, which must go well.
    static func with<Result>(
        _ root: TemporaryFolder,
        sourceLocation: SourceLocation = #_sourceLocation,
        _ body: (RunningServer) async throws -> Result
    ) async throws -> Result {
        let server = try start(root: root)
        let result = try await body(server)
        let outcome = try server.stop()
        #expect(outcome.status == 0, "\(outcome.error)", sourceLocation: sourceLocation)
        #expect(outcome.lines == ["listening on \(server.tcp)", "listening on \(server.unix)"])
        #expect(!FileManager.default.fileExists(atPath: root.file("socket")), sourceLocation: sourceLocation)
        return result
    }

    /// Asks it to stop. It goes on with what is under way.
    func askToStop() { program.terminate() }

    /// Ends it, as a failing machine would.
    func kill() { program.kill() }

    /// Asks it to stop, and waits until it has.
    func stop() throws -> BuiltProgram.Outcome {
        program.terminate()
        return try waitForEnd()
    }

    /// Waits until it has stopped.
    func waitForEnd() throws -> BuiltProgram.Outcome {
        guard program.wait(seconds: 20) else {
            program.kill()
            throw BuiltProgram.Failure(description: "the server did not stop")
        }
        return try program.outcome()
    }
}

import DiskDeltaClient
import DiskDeltaProtocol
import DiskDeltaTransport
import Foundation
import TestSupport
import Testing

/// A server that starts, that cannot start, that is not there, that says nothing, and that stops.
@Suite("The life of a server", .enabled(if: Programs.areBuilt, Programs.absence), .timeLimit(.minutes(2)))
struct ServerLifeTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        try LargeAnswers.writeLong(in: folder)
    }

    private let question = ["changes", LargeAnswers.long.path, "--since", LargeAnswers.long.limitID]

    @Test func check() async throws {
        try await RunningServer.with(folder) { server in
            for address in [server.tcp, server.unix] {
                let outcome = try Programs.diskdelta.run(["--server", address, "check"], in: folder)
                #expect(outcome.status == 0, "\(outcome.error)")
                #expect(outcome.lines.count == 1)
                #expect(outcome.lastText("type") == "check")
                #expect(outcome.lastText("server") == address)
                #expect(outcome.output.contains(#""healthy":true"#))
                #expect(outcome.output.contains(#""formats":["vhdx""#))
            }
            // The environment names the server as well as the flag does.
            let outcome = try Programs.diskdelta.run(
                ["check"],
                environment: ["DISKDELTA_SERVER": server.tcp],
                in: folder
            )
            #expect(outcome.status == 0)
            #expect(outcome.lastText("server") == server.tcp)
        }
    }

    @Test func nobodyListens() async throws {
        let server = try RunningServer.start(root: folder)
        #expect(try server.stop().status == 0)
        for address in [server.tcp, server.unix] {
            for arguments in [question, ["check"], ["info", "d/l.avhdx"]] {
                let outcome = try Programs.diskdelta.run(["--server", address] + arguments, in: folder)
                #expect(outcome.status == 7, "\(address) \(arguments): \(outcome.error)")
                #expect(outcome.lastText("reason") == "SERVER_UNAVAILABLE")
            }
            let plain = try Programs.listChanges.run([address] + [question[1], question[3]], in: folder)
            #expect(plain.status == 7, "\(plain.error)")
        }
    }

    @Test("A server that never answers, before and after its SETTINGS")
    func theDeadline() async throws {
        let server = try RunningServer.start(root: folder)
        let answer = try RecordedAnswer(LargeAnswers.long, at: server.tcp)
        _ = try server.stop()
        let header = answer.frames[0].bytes
        let scripts = [
            ScriptedListener.Script(opening: [], rest: [], ending: .silence),
            ScriptedListener.Script(opening: answer.opening, rest: [], ending: .silence),
            ScriptedListener.Script(opening: answer.opening, rest: header, ending: .silence),
        ]
        let listener = try ScriptedListener(scripts)
        for index in scripts.indices {
            let outcome = try Programs.diskdelta.run(
                ["--server", listener.address, "--deadline", "300ms"] + question,
                in: folder
            )
            #expect(outcome.status == 8, "script \(index): \(outcome.output)")
            #expect(outcome.lastText("reason") == "DEADLINE", "script \(index)")
            #expect(outcome.lastText("status") == "DEADLINE_EXCEEDED")
            #expect(outcome.lines.count == (index == 2 ? 2 : 1))
        }
    }

    @Test func aSecondServerCannotTakeTheAddress() async throws {
        try await RunningServer.with(folder) { server in
            for address in [server.tcp, server.unix] {
                let second = try Programs.diskdeltad.run(
                    ["--root", "d=\(folder.path)", "--listen", address, "--log-level", "error"],
                    in: folder,
                    seconds: 20
                )
                #expect(second.status == 1, "\(second.error)")
                #expect(second.output == "")
                #expect(second.error.hasPrefix("diskdeltad: cannot listen on \(address): "), "\(second.error)")
                #expect(second.error.filter { $0 == "\n" }.count == 1, "\(second.error)")
                // The first one is not disturbed.
                #expect(try Programs.diskdelta.run(["--server", address, "check"], in: folder).status == 0)
            }
        }
    }

    @Test(
        "A setting that is not allowed stops the start with one line",
        arguments: [
            ["--root", "d=/nothing/there"], ["--root", "nothing"], ["--listen", "nowhere"],
            ["--listen", "0.0.0.0:0"], ["--log-level", "loud"], ["--config", "missing.conf"], ["--token-file", "x"],
        ]
    )
    func badSettings(_ arguments: [String]) throws {
        let outcome = try Programs.diskdeltad.run(arguments, in: folder, seconds: 20)
        #expect(outcome.status == 2, "\(outcome.error)")
        #expect(outcome.output == "")
        #expect(outcome.error.hasPrefix("diskdeltad: "))
        #expect(outcome.error.filter { $0 == "\n" }.count == 1, "\(outcome.error)")
    }

    @Test("A server that is asked to stop lets a slow client read to the end")
    func drain() async throws {
        let server = try RunningServer.start(root: folder)
        // Little credit: most of the answer is still to be made when the server is asked to stop.
        let settings = ClientSettings(maximumFrame: 16_384, streamCredit: 32_800, connectionCredit: 65_600)
        let connection = try await RPCConnection.connect(to: Endpoint(server.tcp), settings: settings)
        let client = DiskDeltaClient(connection)
        let stream = try await client.changes(LargeAnswers.long)
        var batches = stream.makeAsyncIterator()
        var count = try await batches.next()?.count ?? 0
        server.askToStop()
        for _ in 0..<1_000 where connection.isOpen { try await Task.sleep(for: .milliseconds(10)) }
        #expect(!connection.isOpen)
        // No calls any more, on this connection or on another.
        let late = await #expect(throws: CallError.self) { try await client.changes(LargeAnswers.long) }
        #expect(late?.status == .unavailable)
        let newcomer = try Programs.diskdelta.run(["--server", server.tcp, "check"], in: folder)
        #expect(newcomer.status == 7, "\(newcomer.output)")
        // Another server may take over its Unix socket meanwhile, and keeps it.
        let successor = try RunningServer.start(root: folder)
        while let batch = try await batches.next() {
            count += batch.count
            try await Task.sleep(for: .milliseconds(20))
        }
        #expect(count == 300 * 1_024)
        #expect(await stream.totals?.ranges == 300 * 1_024)
        await connection.close()
        let outcome = try server.waitForEnd()
        #expect(outcome.status == 0, "\(outcome.error)")
        let check = try Programs.diskdelta.run(["--server", successor.unix, "check"], in: folder)
        #expect(check.status == 0, "\(check.output)")
        #expect(try successor.stop().status == 0)
    }
}

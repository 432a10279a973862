import DiskDeltaClient
import DiskDeltaProtocol
import DiskDeltaTransport
import Foundation
import TestSupport
import Testing

/// What somebody who looks after a server sees of it from outside.
@Suite("Looking after a server", .enabled(if: Programs.areBuilt, Programs.absence), .timeLimit(.minutes(2)))
struct OperationsTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        try LargeAnswers.writeLong(in: folder)
    }

    /// The events of a log in JSON: every line of it must be one.
    private func events(_ log: String) throws -> [[String: Any]] {
        // The last line may be in the making.
        try log.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map { line in
            try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        }
    }

    private func field(_ name: String, of message: String, in program: RunningProgram) throws -> String? {
        let event = try events(try program.outcome().error).first { $0["message"] as? String == message }
        return (event?["fields"] as? [String: Any])?[name] as? String
    }

    private func get(_ path: String, at address: String) throws -> String {
        let connection = try RawConnection(to: address)
        connection.send(Array("GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
        return String(decoding: try connection.receiveAll(), as: UTF8.self)
    }

    @Test("Figures, health and the log, before, while and after a server stops")
    func life() async throws {
        let address = "unix:" + folder.file("socket")
        let server = try Programs.diskdeltad.start(
            [
                "--root", "d=\(folder.path)", "--listen", address, "--metrics-listen", "127.0.0.1:0",
                "--log-format", "json",
            ],
            in: folder
        )
        while server.isRunning, try !server.outcome().output.hasPrefix("listening on ") {
            try await Task.sleep(for: .milliseconds(10))
        }
        let metrics = try #require(try field("address", of: "serving metrics", in: server))
        #expect(try get("/healthz", at: metrics).hasPrefix("HTTP/1.1 200 OK\r\n"))

        let question = ["changes", LargeAnswers.long.path, "--since", LargeAnswers.long.limitID]
        #expect(try Programs.diskdelta.run(["--server", address] + question, in: folder).status == 0)
        let method = "method=\"diskdelta.v1.ImageManagement/GetVirtualDiskChanges\""
        var text = try get("/metrics", at: metrics)
        for line in [
            "diskdelta_calls_ended_total{\(method),status=\"OK\",reason=\"NONE\"} 1", "diskdelta_serving 1",
            "diskdelta_ranges_total{\(method)} \(300 * 1_024)", "diskdelta_first_batch_seconds_count{\(method)} 1",
        ] {
            #expect(text.contains(line + "\n"), "\(line)\n\(text)")
        }

        // A client that takes a little and reads no further.
        let settings = ClientSettings(maximumFrame: 16_384, streamCredit: 32_800, connectionCredit: 65_600)
        let connection = try await RPCConnection.connect(to: Endpoint(address), settings: settings)
        let stream = try await DiskDeltaClient(connection).changes(LargeAnswers.long)
        repeat {
            try await Task.sleep(for: .milliseconds(10))
            text = try get("/metrics", at: metrics)
        } while !text.contains("diskdelta_streams_stalled 1\n")
        #expect(text.contains("diskdelta_calls_active{\(method)} 1\n"))
        #expect(text.contains("diskdelta_connections_open 1\n"))

        // It stops, and says so as long as the call is under way.
        server.terminate()
        while try get("/healthz", at: metrics).hasPrefix("HTTP/1.1 200 ") {
            try await Task.sleep(for: .milliseconds(10))
        }
        #expect(try get("/healthz", at: metrics).hasPrefix("HTTP/1.1 503 "))
        #expect(try get("/metrics", at: metrics).contains("diskdelta_serving 0\n"))
        var batches = stream.makeAsyncIterator()
        var count = 0
        while let batch = try await batches.next() { count += batch.count }
        #expect(count == 300 * 1_024)
        await connection.close()
        guard server.wait(seconds: 20) else {
            server.kill()
            Issue.record("the server did not stop")
            return
        }
        #expect(try server.outcome().status == 0)
        let messages = try events(try server.outcome().error).compactMap { $0["message"] as? String }
        #expect(messages.filter { $0 == "audit" }.count == 2)
        #expect(messages.last == "stopped")
    }
}

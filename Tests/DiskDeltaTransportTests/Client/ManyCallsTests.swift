import DiskDeltaProtocol
import DiskDeltaTransport
import Foundation
import Testing

/// Calls leave nothing behind, in the client or the server. `DISKDELTA_MANY_CALLS=100000` makes it that many.
@Suite(.serialized, .timeLimit(.minutes(30)))
struct ManyCallsTests {
    /// The memory that this process has in use, in bytes.
    private func residentBytes() throws -> Int {
        let fields = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(separator: " ")
        return (Int(fields.dropFirst().first ?? "") ?? 0) * 4_096
    }

    @Test func memoryStaysFlat() async throws {
        let count = Int(ProcessInfo.processInfo.environment["DISKDELTA_MANY_CALLS"] ?? "") ?? 3_000
        try await TestServer.with { test in
            let channel = try RPCChannel(to: test.endpoint, logger: .quiet)
            for _ in 0..<500 { _ = try await channel.run("send 1 65536") }
            let before = try residentBytes()
            for _ in 0..<count {
                let messages = try await channel.run("send 1 65536")
                #expect(messages == 1)
            }
            let growth = try residentBytes() - before
            print("\(count) calls of 64 KiB: memory grew by \(growth / 1_024) KiB")
            // Were the messages kept, it would be 187 MiB in the short form. Other tests may run beside this one.
            #expect(growth < 96 << 20)
            await channel.close()
        }
    }
}

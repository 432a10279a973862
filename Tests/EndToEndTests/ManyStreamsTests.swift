import DiskDeltaClient
import DiskDeltaProtocol
import DiskDeltaTransport
import TestSupport
import Testing

/// Many answers over one connection, some of which nobody reads.
@Suite("Many streams", .enabled(if: Programs.areBuilt, Programs.absence), .timeLimit(.minutes(2)))
struct ManyStreamsTests {
    private let folder: TemporaryFolder
    private let short: [ChangedRange]

    init() throws {
        folder = try TemporaryFolder()
        try LargeAnswers.writeLong(in: folder)
        short = try LargeAnswers.writeShort(in: folder)
    }

    @Test func aStreamThatIsNotReadStopsNoOther() async throws {
        try await RunningServer.with(folder) { server in
            for address in [server.tcp, server.unix] {
                // Credit for four streams; an answer has several times the credit of one.
                let settings = ClientSettings(maximumFrame: 16_384, streamCredit: 32_800, connectionCredit: 4 * 32_800)
                let connection = try await RPCConnection.connect(to: Endpoint(address), settings: settings)
                let client = DiskDeltaClient(connection)
                let stalled = try await client.changes(LargeAnswers.long)
                let alsoStalled = try await client.changes(LargeAnswers.long)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask {
                        let ranges = try await Asking.ranges(try await client.changes(LargeAnswers.long))
                        #expect(ranges.count == 300 * 1_024)
                    }
                    group.addTask {
                        for _ in 0..<5 {
                            let ranges = try await Asking.ranges(try await client.changes(LargeAnswers.short))
                            #expect(ranges == short)
                        }
                    }
                    try await group.waitForAll()
                }
                // What was not read has lost nothing; what is given up takes nothing along.
                alsoStalled.cancel()
                #expect(try await Asking.ranges(stalled).count == 300 * 1_024)
                await connection.close()
            }
        }
    }

    @Test func manyClientsAtATime() async throws {
        try await RunningServer.with(folder) { server in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<24 {
                    group.addTask {
                        try await withDiskDeltaClient(to: index % 2 == 0 ? server.tcp : server.unix) { client in
                            for _ in 0..<3 {
                                let ranges = try await Asking.ranges(try await client.changes(LargeAnswers.short))
                                #expect(ranges == short)
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
    }
}

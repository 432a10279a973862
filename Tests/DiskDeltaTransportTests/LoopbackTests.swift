import DiskDeltaProtocol
import DiskDeltaTransport
import Foundation
import Testing

/// Calls over real sockets of this machine.
@Suite(.timeLimit(.minutes(2)))
struct LoopbackTests {
    @Test func anAnswerArrivesWholeAndInOrder() async throws {
        try await TestServer.with { test in
            let connection = try await test.connect()
            for size in [0, 1, 1_000, 16_384, 200_000] {
                let call = try await connection.start("send 7 \(size)")
                for index in 1...7 {
                    #expect(try await call.next() == ScriptedService.message(index, size: size))
                }
                #expect(try await call.next() == nil)
                #expect(call.details.totals == ScriptedService.totals(7))
                #expect(try await call.next() == nil)
            }
            await connection.close()
            #expect(!connection.isOpen)
        }
    }

    @Test func unixSocketsAndIPv6CarryCallsToo() async throws {
        let path = "/tmp/diskdelta-test-\(UUID().uuidString.prefix(8)).sock"
        defer { try? FileManager.default.removeItem(atPath: path) }
        for _ in 0..<2 {
            // The second server finds the socket that the first left behind.
            try await TestServer.with(on: .unix(path: path)) { test in
                #expect(test.endpoint == .unix(path: path))
                let connection = try await test.connect()
                #expect(try await connection.run("send 3 10") == 3)
                await #expect(throws: BindError.self) {
                    try await RPCServer.bind(to: [.unix(path: path)], router: ServiceRouter(), logger: .quiet)
                }
                #expect(try await connection.run("send 1 10") == 1)
            }
        }
        try await TestServer.with(on: .tcp(host: "::1", port: 0)) { test in
            #expect(test.endpoint.description.hasPrefix("[::1]:"))
            let connection = try await test.connect()
            #expect(try await connection.run("send 3 10") == 3)
        }
    }

    @Test func aCallKeepsItsConnectionOpen() async throws {
        try await TestServer.with { test in
            let call = try await test.connect().start("send 100 100000")
            #expect(try await call.readToEnd() == 100)
        }
    }

    @Test func manyCallsShareAConnection() async throws {
        try await TestServer.with { test in
            let connection = try await test.connect()
            for _ in 0..<4 {
                let counts = try await withThrowingTaskGroup { group in
                    for index in 0..<64 {
                        group.addTask { (index, try await connection.run("send \(index) \(index * 97)")) }
                    }
                    return try await group.reduce(into: [Int: Int]()) { $0[$1.0] = $1.1 }
                }
                #expect(counts == Dictionary(uniqueKeysWithValues: (0..<64).map { ($0, $0) }))
            }
        }
    }

    @Test func refusalsKeepTheirReason() async throws {
        try await TestServer.with { test in
            let connection = try await test.connect()
            let refusal = await error { _ = try await connection.run("refuse") }
            #expect(refusal == CallError(.fileNotFound, "there is no such disk"))

            let call = try await connection.start("fail")
            #expect(try await call.next() == ScriptedService.message(1, size: 8))
            let failure = await error { _ = try await call.next() }
            #expect(failure == CallError(.imageCorrupt, "a block is damaged", resumeOffset: 4_096))

            let method = MethodDescriptor(service: "test.Scripted", method: "Nothing", isServerStreaming: true)
            let unknown = await error {
                let call: TypedCall<RangeAnswer> = try await connection.stream(
                    method,
                    request: HealthCheckRequest(),
                    options: CallOptions()
                )
                _ = try await call.next()
            }
            #expect(unknown?.status == .unimplemented)
            #expect(try await connection.run("send 1 1") == 1)
        }
    }

    @Test func aMessageThatTheClientDoesNotAcceptEndsItsCallOnly() async throws {
        try await TestServer.with { test in
            let settings = ClientSettings(maximumFrame: 20_000, streamCredit: 40_100, connectionCredit: 80_200)
            let connection = try await test.connect(settings)
            #expect(try await connection.run("send 20 19000") == 20)
            let failure = await error { _ = try await connection.run("send 1 20001") }
            #expect(failure?.reason == .resourceLimit)
            #expect(failure?.status == .resourceExhausted)
            #expect(try await connection.run("send 20 19000") == 20)
        }
    }

    @Test func aRequestThatTheServerDoesNotAcceptIsNotSent() async throws {
        try await TestServer.with { test in
            let connection = try await test.connect()
            let failure = await error { _ = try await connection.run(String(repeating: "x", count: 70_000)) }
            #expect(failure?.reason == .resourceLimit)
            #expect(try await connection.run("send 1 1") == 1)
        }
    }

    @Test func callsBeyondTheLimitAreRefused() async throws {
        var configuration = ServerConfiguration()
        configuration.settings.maximumStreams = 2
        try await TestServer.with(configuration) { test in
            let connection = try await test.connect()
            let calls = [try await connection.start("wait 1 1"), try await connection.start("wait 1 1")]
            let refusal = await error { _ = try await connection.start("send 1 1") }
            #expect(refusal?.reason == .resourceLimit)
            try await test.until { $0.pulled == 4 }
            for call in calls { call.cancel() }
            try await test.until { $0.cancelled == 2 }
        }
    }

    @Test func aCancelledCallHoldsItsPlaceUntilItsHandlerReturns() async throws {
        var configuration = ServerConfiguration()
        configuration.settings.maximumStreams = 1
        try await TestServer.with(configuration) { test in
            let connection = try await test.connect()
            let call = try await connection.start("block")
            try await test.until { $0.pulled == 1 }
            call.cancel()
            let refusal = await error { _ = try await connection.run("send 1 1") }
            #expect(refusal?.reason == .resourceLimit)
            test.service.release()
            // The place is free a moment after the handler has returned.
            while await error(of: { _ = try await connection.run("send 1 1") }) != nil {
                try await Task.sleep(for: .milliseconds(20))
            }
        }
    }

    @Test func nobodyListensOrNobodyAnswers() async throws {
        let gone = try await TestServer.with { test in test.endpoint }
        let refused = await error { _ = try await RPCConnection.connect(to: gone, logger: .quiet) }
        #expect(refused?.reason == .serverUnavailable)
        #expect(refused?.message.contains(gone.description) == true)
        let missing = await error {
            _ = try await RPCConnection.connect(to: .unix(path: "/nonexistent/socket"), logger: .quiet)
        }
        #expect(missing?.reason == .serverUnavailable)
    }
}

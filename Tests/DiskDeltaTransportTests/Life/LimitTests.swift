import DiskDeltaProtocol
import DiskDeltaTransport
import NIOCore
import Testing

/// What a server does not wait for, and how much of everything it takes.
@Suite(.timeLimit(.minutes(2)))
struct LimitTests {
    @Test func aClientThatSaysNothingIsAskedAndGivenUp() async throws {
        var configuration = ServerConfiguration()
        configuration.times.keepalive = KeepaliveTimes(interval: .milliseconds(20), timeout: .milliseconds(50))
        try await TestServer.with(configuration) { test in
            let peer = try await LivePeer.connect(to: test.endpoint)
            await peer.send(try Wire.open(1, "wait 1 10"))
            _ = try await peer.untilClosed()
            #expect(peer.questions.count == 1 && peer.goAways == [])
            // It may have been given up before its call had come.
            try await test.until { $0.released == $0.opened && $0.cancelled == $0.opened }
        }
    }

    @Test func aClientThatAnswersIsKept() async throws {
        var configuration = ServerConfiguration()
        configuration.times.keepalive = KeepaliveTimes(interval: .milliseconds(10), timeout: .seconds(100))
        try await TestServer.with(configuration) { test in
            let peer = try await LivePeer.connect(to: test.endpoint)
            for index in 0..<5 { try await peer.answer(question: index) }
            await peer.send(try Wire.open(1, "send 1 10"))
            try await peer.until { $0.contains { $0.header.type == .end } }
            await peer.close()
        }
    }

    @Test func aServerThatSaysNothingIsGivenUp() async throws {
        let (endpoint, listener) = try await LivePeer.listen(Wire.greeting(ServerSettings.default.entries))
        var times = ClientTimes()
        times.keepalive = KeepaliveTimes(interval: .milliseconds(50), timeout: .milliseconds(50))
        let connection = try await RPCConnection.connect(to: endpoint, times: times, logger: .quiet)
        // As long as there is no call nobody asks.
        #expect(connection.isOpen)
        let failure = await error { _ = try await connection.run("send 1 1") }
        #expect(failure?.reason == .serverUnavailable)
        #expect(failure?.isUnbegun == false)
        #expect(failure?.message.contains("does not answer") == true)
        #expect(!connection.isOpen)
        try await listener.close()
    }

    @Test func pingsThatComeTooOftenEndTheConnection() async throws {
        var configuration = ServerConfiguration()
        configuration.settings.minimumPingInterval = UInt32(Int32.max)
        try await TestServer.with(configuration) { test in
            let peer = try await LivePeer.connect(to: test.endpoint)
            for index in 0..<4 {
                await peer.send(Wire.frame(.ping, [0, 0, 0, 0, 0, 0, 0, UInt8(index)]))
                try await peer.until { frames in
                    frames.filter { $0.header.type == .ping }.count == index + 1 || frames.last?.header.type == .goAway
                }
            }
            let all = try await peer.untilClosed()
            #expect(all.filter { $0.header.type == .ping }.count == 3)
            let goAway = try peer.goAway
            #expect(goAway?.code == .excessiveLoad && goAway?.text.contains("P-83") == true)
        }
    }

    @Test func aFrameThatDoesNotEndEndsTheConnection() async throws {
        var configuration = ServerConfiguration()
        configuration.times.frame = .milliseconds(50)
        try await TestServer.with(configuration) { test in
            let peer = try await LivePeer.connect(to: test.endpoint)
            await peer.send(Array(try Wire.open(1, "send 1 1").dropLast()))
            try await peer.untilClosed()
            let goAway = try peer.goAway
            #expect(goAway?.code == .excessiveLoad && goAway?.text.contains("P-87") == true)
        }
    }

    @Test func aStreamThatNobodyReadsIsEndedAndItsConnectionGoesOn() async throws {
        var configuration = ServerConfiguration()
        configuration.times.stall = .milliseconds(100)
        try await TestServer.with(configuration) { test in
            let settings = ClientSettings(maximumFrame: 16_384, streamCredit: 32_800, connectionCredit: 65_600)
            let connection = try await test.connect(settings)
            let call = try await connection.start("wait 1000 10000")
            // Nothing is read until the server has given the stream up.
            try await test.until { $0.released == 1 }
            var count = 0
            let failure = await error { while try await call.next() != nil { count += 1 } }
            #expect(failure?.status == .unavailable && failure?.reason == .answerIncomplete)
            #expect(count > 0 && failure?.resumeOffset == UInt64(count) * 4_096)
            #expect(try await connection.run("send 3 10") == 3)
        }
    }

    @Test func aServerHasSoManyConnectionsAndNoMore() async throws {
        var configuration = ServerConfiguration()
        configuration.maximumConnections = 2
        try await TestServer.with(configuration) { test in
            let first = try await test.connect()
            let second = try await test.connect()
            #expect(await error { _ = try await test.connect() }?.reason == .serverUnavailable)
            #expect(try await first.run("send 1 1") == 1)
            await first.close()
            var next: RPCConnection?
            while next == nil {
                next = try? await test.connect()
                try await Task.sleep(for: .milliseconds(2))
            }
            #expect(try await next?.run("send 1 1") == 1)
            #expect(try await second.run("send 1 1") == 1)
        }
    }

    @Test func aCallHasItsPlaceUntilItsServiceHasReturned() async throws {
        var configuration = ServerConfiguration()
        configuration.maximumCalls = 1
        try await TestServer.with(configuration) { test in
            let busy = try await test.connect()
            let other = try await test.connect()
            let call = try await busy.start("block")
            try await test.until { $0.pulled == 1 }
            for round in 0..<3 {
                let refusal = await error { _ = try await other.run("send 1 1") }
                #expect(refusal?.reason == .resourceLimit && refusal?.isUnbegun == true, "round \(round)")
                // Neither cancelling nor closing frees the place; only the service does.
                if round == 0 { call.cancel() }
                if round == 1 { await busy.close() }
            }
            #expect(test.counts.opened == 1)
            test.service.release()
            var result: Int?
            while result == nil {
                result = try? await other.run("send 1 1")
                try await Task.sleep(for: .milliseconds(2))
            }
            #expect(result == 1)
        }
    }

    @Test func callsThatTheProtocolEndsAreCounted() async throws {
        try await TestServer.with { test in
            let peer = try await LivePeer.connect(to: test.endpoint)
            var payload: [UInt8] = []
            OpenPayload(path: "no.Such/Method")?.encode(into: &payload)
            let opens = (0..<201).flatMap { Wire.frame(.open, stream: StreamID(2 * $0 + 1), payload) }
            await peer.send(opens)
            let all = try await peer.untilClosed()
            #expect(all.filter { $0.header.type == .end }.count == 201)
            let goAway = try peer.goAway
            #expect(goAway?.code == .excessiveLoad && goAway?.text.contains("P-58") == true)
        }
    }
}

import DiskDeltaProtocol
import DiskDeltaTransport
import Testing

/// How a server leaves: in two steps, with a time for what is under way, and of itself where a connection is idle or old.
@Suite(.timeLimit(.minutes(2)))
struct LeavingTests {
    private static let undecided = StreamID(Int32.max)

    @Test func aCallThatWasOnItsWayIsAnswered() async throws {
        var configuration = ServerConfiguration()
        configuration.times.drain = .seconds(100)
        configuration.gracePeriod = .seconds(100)
        try await TestServer.with(configuration) { test in
            let peer = try await LivePeer.connect(to: test.endpoint)
            await peer.send(try Wire.open(1, "wait 1 10"))
            try await test.until { $0.pulled == 2 }
            async let stopped: Void = test.server.stop()
            try await peer.until { _ in peer.questions.count == 1 }
            #expect(peer.goAways == [Self.undecided])

            // It was sent before this client had read the GOAWAY, for all that the server knows.
            await peer.send(try Wire.open(3, "send 2 10"))
            let answer = try await peer.until { $0.contains { $0.header.stream == 3 && $0.header.type == .end } }
            #expect(answer.filter { $0.header.stream == 3 && $0.header.type == .data }.count == 2)
            try await peer.answer(question: 0)
            try await peer.until { _ in peer.goAways.count == 2 }
            #expect(peer.goAways == [Self.undecided, 3])

            // What comes now is not taken up; what was is not given up.
            await peer.send(try Wire.open(5, "send 1 10") + Wire.frame(.ping, [1, 2, 3, 4, 5, 6, 7, 8]))
            try await peer.until { $0.last?.header.flags == FrameHeader.acknowledgement }
            #expect(test.counts.opened == 2 && test.counts.cancelled == 0)
            await peer.send(Wire.frame(.cancel, stream: 1, aux: 1))
            let all = try await peer.untilClosed()
            #expect(!all.contains { $0.header.stream == 5 })
            await stopped
        }
    }

    @Test func aClientThatAnswersNoPingIsNotWaitedForLong() async throws {
        var configuration = ServerConfiguration()
        configuration.times.drain = .milliseconds(50)
        try await TestServer.with(configuration) { test in
            let peer = try await LivePeer.connect(to: test.endpoint)
            try await peer.until { $0.count == 1 }
            await test.server.stop()
            #expect(peer.goAways == [Self.undecided, 0])
        }
    }

    @Test func whatTakesLongerThanPatienceIsToldWhereToResume() async throws {
        var configuration = ServerConfiguration()
        configuration.gracePeriod = .milliseconds(100)
        try await TestServer.with(configuration) { test in
            let connection = try await test.connect()
            let begun = try await connection.start("wait 3 10")
            for _ in 0..<3 { _ = try await begun.next() }
            let unbegun = try await connection.start("wait 0 10")
            try await test.until { $0.pulled == 5 }
            await test.server.stop()
            let incomplete = await error { _ = try await begun.next() }
            #expect(incomplete?.status == .unavailable && incomplete?.reason == .answerIncomplete)
            #expect(incomplete?.resumeOffset == 3 * 4_096)
            #expect(incomplete?.isUnbegun == false)
            let unavailable = await error { _ = try await unbegun.next() }
            #expect(unavailable?.status == .unavailable && unavailable?.reason == .serverUnavailable)
            #expect(unavailable?.resumeOffset == nil)
            try await test.until { $0.cancelled == 2 && $0.released == 2 }
        }
    }

    @Test func patienceEndsThoughNobodyReads() async throws {
        var configuration = ServerConfiguration()
        configuration.gracePeriod = .milliseconds(50)
        try await TestServer.with(configuration) { test in
            let connection = try await test.connect()
            let call = try await connection.start("send 100000 100000")
            try await test.until { $0.pulled > 3 }
            await test.server.stop()
            let failure = await error { _ = try await call.readToEnd() }
            #expect(failure?.reason == .serverUnavailable)
        }
    }

    @Test func anIdleConnectionIsDrained() async throws {
        var configuration = ServerConfiguration()
        configuration.times.idle = .milliseconds(50)
        try await TestServer.with(configuration) { test in
            let connection = try await test.connect()
            let peer = try await LivePeer.connect(to: test.endpoint)
            try await peer.answer(question: 0)
            try await peer.untilClosed()
            #expect(peer.goAways == [Self.undecided, 0])
            while connection.isOpen { try await Task.sleep(for: .milliseconds(1)) }
            #expect(await error { _ = try await connection.run("send 1 1") }?.isUnbegun == true)
        }
    }

    @Test func aStreamThatMakesProgressIsNotCutBecauseOfAge() async throws {
        var configuration = ServerConfiguration()
        configuration.times.age = .milliseconds(100)
        try await TestServer.with(configuration) { test in
            // More than the credit of a stream, so that the call is under way as long as nobody reads.
            let settings = ClientSettings(maximumFrame: 16_384, streamCredit: 32_800, connectionCredit: 65_600)
            while true {
                let connection = try await test.connect(settings)
                do throws(CallError) {
                    let call = try await connection.start("send 20 10000")
                    while connection.isOpen { try? await Task.sleep(for: .milliseconds(1)) }
                    #expect(try await call.readToEnd() == 20)
                    return
                } catch {
                    // The connection was old before the call began.
                    #expect(error.isUnbegun, "\(error)")
                    guard error.isUnbegun else { return }
                }
            }
        }
    }
}

import DiskDeltaProtocol
import DiskDeltaTransport
import Testing

/// Cancelling, deadlines, and both sides' ways to stop.
@Suite(.timeLimit(.minutes(2)))
struct EndingTests {
    @Test func cancellingReachesTheServerAndTheReader() async throws {
        try await TestServer.with { test in
            let connection = try await test.connect()
            let call = try await connection.start("wait 1 10")
            _ = try await call.next()
            let reader = Task { await error { _ = try await call.next() } }
            try await test.until { $0.pulled == 2 }
            call.cancel()
            #expect(await reader.value?.reason == .cancelled)
            try await test.until { $0.cancelled == 1 }
            call.cancel()
            #expect(await error { _ = try await call.next() }?.reason == .cancelled)
            #expect(try await connection.run("send 1 1") == 1)
        }
    }

    @Test func cancellingTheTaskCancelsTheCall() async throws {
        try await TestServer.with { test in
            let connection = try await test.connect()
            let reader = Task { await error { _ = try await connection.run("wait 1 10") } }
            try await test.until { $0.pulled == 2 }
            reader.cancel()
            #expect(await reader.value?.reason == .cancelled)
            try await test.until { $0.cancelled == 1 }
        }
    }

    @Test func aDeadlineEndsBothSides() async throws {
        try await TestServer.with { test in
            let connection = try await test.connect()
            let failure = await error { _ = try await connection.run("wait 1 10", timeout: .milliseconds(50)) }
            #expect(failure?.reason == .deadline)
            #expect(failure?.status == .deadlineExceeded)
            try await test.until { $0.cancelled == 1 }
            #expect(await error { _ = try await connection.run("send 1 1", timeout: .zero) }?.reason == .deadline)
            #expect(test.counts.opened == 1)
            #expect(try await connection.run("send 1 1", timeout: .seconds(60)) == 1)
        }
    }

    @Test func theServerKeepsTheTimeItself() async throws {
        try await TestServer.with { test in
            var open = try Wire.open(1, "wait 1 1")
            open[15] = 30
            // This client sends nothing more, so that only the server can end the call.
            async let received = RawPeer.talk(to: test.endpoint, Wire.greeting() + open)
            try await test.until { $0.cancelled == 1 }
            await test.server.stop()
            let end = try Wire.frames(try await received).first { $0.header.type == .end }
            #expect(end?.header.aux == UInt32(Status.deadlineExceeded.rawValue))
        }
    }

    @Test func aServerThatStopsLetsCallsEnd() async throws {
        try await TestServer.with { test in
            let connection = try await test.connect()
            let call = try await connection.start("send 50 100000")
            #expect(try await call.next() != nil)
            async let stopped: Void = test.server.stop()
            while connection.isOpen { try await Task.sleep(for: .milliseconds(1)) }
            let refusal = await error { _ = try await connection.run("send 1 1") }
            #expect(refusal?.reason == .serverUnavailable)
            #expect(try await call.readToEnd() == 49)
            await stopped
        }
    }

    @Test func aServerThatStopsCutsWhatDoesNotEnd() async throws {
        var configuration = ServerConfiguration()
        configuration.gracePeriod = .milliseconds(50)
        try await TestServer.with(configuration) { test in
            let connection = try await test.connect()
            let call = try await connection.start("wait 2 10")
            _ = try await call.next()
            await test.server.stop()
            let failure = await error { _ = try await call.readToEnd() }
            #expect(failure?.reason == .answerIncomplete)
            try await test.until { $0.cancelled == 1 }
        }
    }

    @Test func closingTheConnectionGivesUpItsCalls() async throws {
        try await TestServer.with { test in
            let connection = try await test.connect()
            let call = try await connection.start("wait 1 10")
            _ = try await call.next()
            await connection.close()
            #expect(await error { _ = try await call.next() }?.reason == .cancelled)
            try await test.until { $0.cancelled == 1 }
            #expect(await error { _ = try await connection.run("send 1 1") }?.reason == .serverUnavailable)
        }
    }
}

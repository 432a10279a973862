import DiskDeltaProtocol
import DiskDeltaTransport
import NIOCore
import NIOPosix
import Synchronization
import Testing

/// A channel: many calls, one server that comes and goes.
@Suite(.timeLimit(.minutes(2)))
struct ChannelTests {
    private static let greeting = Wire.greeting(ServerSettings.default.entries)
    /// END with status OK, of the first call of a connection.
    private static let success = Wire.frame(.end, stream: 1, [0, 0, 0, 0])

    private func makeChannel(to endpoint: Endpoint, _ change: (inout ChannelConfiguration) -> Void = { _ in }) throws
        -> RPCChannel
    {
        var configuration = ChannelConfiguration()
        change(&configuration)
        return try RPCChannel(to: endpoint, configuration: configuration, logger: .quiet)
    }

    /// An endpoint where nobody listens.
    private func nowhere() async throws -> Endpoint {
        try await TestServer.with { $0.endpoint }
    }

    @Test func manyCallsShareOneConnection() async throws {
        try await TestServer.with { test in
            let channel = try makeChannel(to: test.endpoint)
            #expect(!channel.isConnected)
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for index in 0..<50 { group.addTask { try await channel.run("send \(index) 100") == index } }
                for try await isWhole in group { #expect(isWhole) }
            }
            #expect(channel.isConnected)
            #expect(test.counts.opened == 50)
            await channel.close()
            #expect(!channel.isConnected)
            #expect(await error { _ = try await channel.run("send 1 1") }?.reason == .cancelled)
        }
    }

    @Test func aServerThatComesBackIsFoundAgain() async throws {
        let (endpoint, channel) = try await TestServer.with { test in
            let channel = try makeChannel(to: test.endpoint)
            #expect(try await channel.run("send 3 10") == 3)
            return (test.endpoint, channel)
        }
        // It has left in peace, so the next call connects at once, and finds nobody.
        #expect(await error { _ = try await channel.run("send 1 1") }?.reason == .serverUnavailable)
        try await TestServer.with(on: endpoint) { test in
            let counts = [
                try await channel.run("send 4 10", CallOptions(waitForReady: true)),
                try await channel.run("send 5 10"),
            ]
            #expect(counts == [4, 5])
            #expect(test.counts.opened == 2)
        }
        await channel.close()
    }

    @Test func whileThereIsNobodyCallsFailAtOnce() async throws {
        let channel = try await makeChannel(to: nowhere()) {
            $0.reconnecting = BackoffPolicy(initial: .seconds(600), multiplier: 1, maximum: .seconds(600), jitter: 0)
        }
        let first = await error { _ = try await channel.run("send 1 1") }
        #expect(first?.reason == .serverUnavailable)
        for _ in 0..<100 { #expect(await error { _ = try await channel.run("send 1 1") } == first) }
        await channel.close()
    }

    @Test func aCallThatWaitsDoesSoUntilItsTimeIsUp() async throws {
        let channel = try await makeChannel(to: nowhere())
        let waits = CallOptions(timeout: .milliseconds(400), waitForReady: true)
        #expect(await error { _ = try await channel.run("send 1 1", waits) }?.reason == .deadline)
        var ready = CallOptions(waitForReady: true, readyTimeout: .milliseconds(400))
        #expect(await error { _ = try await channel.run("send 1 1", ready) }?.reason == .serverUnavailable)
        ready.timeout = .seconds(60)
        #expect(await error { _ = try await channel.run("send 1 1", ready) }?.reason == .serverUnavailable)
        #expect(await error { try await channel.connect(options: waits) }?.reason == .deadline)
        await channel.close()
    }

    @Test func waitingCanBeCancelled() async throws {
        let channel = try await makeChannel(to: nowhere())
        let caller = Task { await error { _ = try await channel.run("send 1 1", CallOptions(waitForReady: true)) } }
        try await Task.sleep(for: .milliseconds(20))
        caller.cancel()
        #expect(await caller.value?.reason == .cancelled)
        let other = Task { await error { _ = try await channel.run("send 1 1", CallOptions(waitForReady: true)) } }
        try await Task.sleep(for: .milliseconds(20))
        await channel.close()
        #expect(await other.value?.reason == .cancelled)
        // One that is cancelled before it begins.
        let late = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return await error { _ = try await channel.run("send 1 1", CallOptions(waitForReady: true)) }
        }
        #expect(await late.value?.reason == .cancelled)
    }

    @Test func aServerThatSaysNothingDoesNotHoldUpAClose() async throws {
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        let channel = try makeChannel(to: .tcp(host: "127.0.0.1", port: listener.localAddress?.port ?? 0))
        let options = CallOptions(timeout: .milliseconds(100))
        #expect(await error { _ = try await channel.run("send 1 1", options) }?.reason == .deadline)
        let caller = Task { await error { _ = try await channel.run("send 1 1") } }
        try await Task.sleep(for: .milliseconds(20))
        await channel.close()
        #expect(await caller.value?.reason == .cancelled)
        try await listener.close()
    }

    // MARK: Calls that are made again, and those that are not

    @Test func aCallThatTheServerDidNotTakeUpIsMadeAgain() async throws {
        let (endpoint, listener) = try await RawPeer.serve([
            (Self.greeting, Wire.frame(.goAway, aux: 0, [0, 0, 0, 0, 0, 0])),
            (Self.greeting, Wire.frame(.goAway, aux: 0, [0, 0, 0, 10, 0, 0])),
            (Self.greeting, Self.success),
        ])
        let channel = try makeChannel(to: endpoint)
        #expect(try await channel.run("send 0 0") == 0)
        await channel.close()
        try await listener.close()
    }

    @Test func aServerThatNeverTakesUpACallIsLeft() async throws {
        let (endpoint, listener) = try await RawPeer.serve([
            (Self.greeting, Wire.frame(.goAway, aux: 0, [0, 0, 0, 0, 0, 0]))
        ])
        let channel = try makeChannel(to: endpoint) { $0.maximumRepetitions = 3 }
        let failure = await error { _ = try await channel.run("send 0 0") }
        #expect(failure?.reason == .serverUnavailable)
        await channel.close()
        try await listener.close()
    }

    @Test("A call that may have begun is not made again")
    func maybeBegun() async throws {
        let ends = [
            Wire.frame(.ping, [0, 0, 0, 0, 0, 0, 0, 0]), Wire.frame(.goAway, aux: 1, [0, 0, 0, 10, 0, 0]),
            Wire.frame(.cancel, stream: 1, aux: 14), Wire.frame(.end, stream: 1, aux: 14, [0, 0, 0, 0]),
            Wire.frame(.data, stream: 1, aux: 0),
        ]
        for end in ends {
            let (endpoint, listener) = try await RawPeer.serve([(Self.greeting, end), (Self.greeting, Self.success)])
            let channel = try makeChannel(to: endpoint)
            #expect(await error { _ = try await channel.run("send 0 0") }?.reason == .serverUnavailable)
            // The second connection is for the second call.
            while channel.isConnected { try await Task.sleep(for: .milliseconds(1)) }
            #expect(try await channel.run("send 0 0") == 0)
            await channel.close()
            try await listener.close()
        }
    }

    @Test func aRefusedCallIsMadeAgain() async throws {
        var configuration = ServerConfiguration()
        configuration.settings.maximumStreams = 1
        try await TestServer.with(configuration) { test in
            let channel = try makeChannel(to: test.endpoint)
            let blocked = try await channel.start("block")
            try await test.until { $0.pulled == 1 }
            // The server holds its place until the handler returns, so it refuses the next.
            blocked.cancel()
            async let count = channel.run("send 2 10", CallOptions(waitForReady: true))
            try await Task.sleep(for: .milliseconds(120))
            #expect(test.counts.opened == 1)
            test.service.release()
            #expect(try await count == 2)
            await channel.close()
        }
    }

    @Test func aRefusalIsToldInTheEnd() async throws {
        var configuration = ServerConfiguration()
        configuration.settings.maximumStreams = 1
        try await TestServer.with(configuration) { test in
            let channel = try makeChannel(to: test.endpoint) { $0.maximumRepetitions = 2 }
            let call = try await channel.start("wait 1 1")
            let failure = await error { _ = try await channel.run("send 1 1") }
            #expect(failure?.reason == .resourceLimit)
            let options = CallOptions(timeout: .milliseconds(200), waitForReady: true)
            #expect(await error { _ = try await channel.run("send 1 1", options) }?.reason == .deadline)
            let caller = Task { await error { _ = try await channel.run("send 1 1", CallOptions(waitForReady: true)) } }
            try await Task.sleep(for: .milliseconds(20))
            caller.cancel()
            #expect(await caller.value?.reason == .cancelled)
            call.cancel()
            await channel.close()
        }
    }

    @Test func moreCallsThanAConnectionTakes() async throws {
        var configuration = ServerConfiguration()
        configuration.settings.maximumStreams = 4
        try await TestServer.with(configuration) { test in
            let channel = try makeChannel(to: test.endpoint)
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for index in 0..<40 {
                    group.addTask {
                        try await channel.run("send \(index) 10", CallOptions(waitForReady: true)) == index
                    }
                }
                for try await isWhole in group { #expect(isWhole) }
            }
            await channel.close()
        }
    }

    @Test func callsUnderWayGoOnWhileNewOnesGoElsewhere() async throws {
        try await TestServer.with { old in
            let channel = try makeChannel(to: old.endpoint)
            let call = try await channel.start("send 60 100000")
            #expect(try await call.next() != nil)
            async let stopped: Void = old.server.stop()
            while channel.isConnected { try await Task.sleep(for: .milliseconds(1)) }
            try await TestServer.with(on: old.endpoint) { new in
                let count = try await channel.run("send 2 10", CallOptions(waitForReady: true))
                #expect(count == 2)
                #expect(new.counts.opened == 1)
                let rest = try await call.readToEnd()
                #expect(rest == 59)
            }
            await stopped
            await channel.close()
        }
    }

    @Test func cancellingACallReachesTheServer() async throws {
        try await TestServer.with { test in
            let channel = try makeChannel(to: test.endpoint)
            let call = try await channel.start("wait 1 10")
            #expect(try await call.next() != nil)
            let reader = Task { await error { _ = try await call.next() } }
            try await test.until { $0.pulled == 2 }
            call.cancel()
            #expect(await reader.value?.reason == .cancelled)
            try await test.until { $0.cancelled == 1 }
            // A call that is let go is cancelled, and so are those of a channel that is closed.
            func letGo() async throws {
                let call = try await channel.start("wait 0 10")
                try await test.until { $0.pulled == 3 }
                _ = call
            }
            try await letGo()
            try await test.until { $0.cancelled == 2 }
            let last = try await channel.start("wait 0 10")
            try await test.until { $0.pulled == 4 }
            await channel.close()
            #expect(await error { _ = try await last.next() }?.reason == .cancelled)
            try await test.until { $0.cancelled == 3 }
        }
    }

    @Test func aChannelThatIsLetGoEndsItsConnection() async throws {
        try await TestServer.with { test in
            let call = try await makeChannel(to: test.endpoint).start("send 100 100000")
            #expect(try await call.readToEnd() == 100)
        }
    }

    @Test func settingsThatAreNotAllowed() throws {
        let error = #expect(throws: CallError.self) {
            _ = try makeChannel(to: .tcp(host: "localhost", port: 1)) { $0.settings.maximumFrame = 1 }
        }
        #expect(error?.reason == .invalidParameter)
    }
}

extension RPCChannel {
    /// Starts a call of the scripted service.
    func start(_ script: String, _ options: CallOptions = CallOptions()) async throws(CallError) -> TypedCall<
        RangeAnswer
    > {
        try await stream(ScriptedService.method, request: GetVirtualDiskChangesRequest(path: script), options: options)
    }

    /// Makes a call and reads it to its end: how many messages came.
    func run(_ script: String, _ options: CallOptions = CallOptions()) async throws(CallError) -> Int {
        try await start(script, options).readToEnd()
    }
}

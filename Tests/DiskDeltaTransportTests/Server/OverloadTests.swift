import DiskDeltaProtocol
import DiskDeltaTransport
import NIOCore
import Synchronization
import Testing

/// Calls beyond what a server takes up: each is refused at once, and told when to come again (P-90, P-99).
@Suite("Overload", .timeLimit(.minutes(2)))
struct OverloadTests {
    /// Takes callers for who they say they are.
    private struct Names: ServerInterceptor {
        func begin(path: String, method: MethodDescriptor?, context: inout CallContext) throws(CallError) {
            let entry = context.metadata.entries.first { $0.key == "name" }
            context.identity = entry.map { String(decoding: $0.value, as: UTF8.self) } ?? ""
        }
    }

    /// Writes down which limits refused calls.
    private final class Refusals: ServerObserver {
        let limits = Mutex<[CallLimit]>([])

        func callRefused(_ limit: CallLimit) {
            limits.withLock { $0.append(limit) }
        }
    }

    private func start(
        _ connection: RPCConnection,
        _ script: String,
        as name: String
    ) async throws -> TypedCall<RangeAnswer> {
        var options = CallOptions()
        _ = options.metadata.append("name", Array(name.utf8))
        return try await connection.stream(
            ScriptedService.method,
            request: GetVirtualDiskChangesRequest(path: script),
            options: options
        )
    }

    private func expectRefusal(_ error: CallError?, _ comment: Comment? = nil) {
        #expect(error?.status == .resourceExhausted && error?.reason == .resourceLimit, comment)
        #expect(error?.isUnbegun == true, comment)
        #expect((100...10_000).contains(error?.retryDelay ?? 0), comment)
    }

    @Test("One identity has so many calls, over all its connections, and others are served")
    func identities() async throws {
        var configuration = ServerConfiguration()
        configuration.maximumCallsPerIdentity = 2
        configuration.interceptors = [Names()]
        let refusals = Refusals()
        configuration.observer = refusals
        try await TestServer.with(configuration) { test in
            let connections = [try await test.connect(), try await test.connect()]
            var calls: [TypedCall<RangeAnswer>] = []
            for connection in connections {
                let call = try await start(connection, "wait 1 1", as: "greedy")
                _ = try await call.next()
                calls.append(call)
            }
            for connection in connections {
                let call = try await start(connection, "send 1 1", as: "greedy")
                expectRefusal(await error { _ = try await call.next() })
                #expect(try await start(connection, "send 2 1", as: "modest").readToEnd() == 2)
            }
            #expect(refusals.limits.withLock(\.self) == [.client, .client])
            #expect(test.counts.opened == 4)
            calls[0].cancel()
            // The place is free a moment after the service has returned.
            var count: Int?
            while count == nil {
                count = try? await start(connections[1], "send 1 1", as: "greedy").readToEnd()
                try await Task.sleep(for: .milliseconds(2))
            }
            #expect(count == 1)
        }
    }

    @Test("Where nobody proves who he is, one address has so many calls")
    func addresses() async throws {
        var configuration = ServerConfiguration()
        configuration.maximumCallsPerIdentity = 1
        try await TestServer.with(configuration) { test in
            let call = try await test.connect().start("wait 1 1")
            _ = try await call.next()
            let other = try await test.connect()
            expectRefusal(await error { _ = try await other.run("send 1 1") })
        }
    }

    @Test("While too much waits for the threads, new calls are refused")
    func queue() async throws {
        var configuration = ServerConfiguration()
        configuration.workerThreads = 1
        configuration.maximumWaitingCalls = 1
        let refusals = Refusals()
        configuration.observer = refusals
        try await TestServer.with(configuration) { test in
            let connection = try await test.connect()
            // Two calls that want the one thread all the time: one of them waits. The second may be refused at first, in the
            // moment in which the first has had its turn and waits for the next.
            // They are held: a call that is let go is cancelled, and too many of those end the connection (P-58).
            var calls = [try await connection.start("block")]
            while test.counts.pulled < 2 {
                calls.append(try await connection.start("block"))
                try await Task.sleep(for: .milliseconds(2))
            }
            expectRefusal(await error { _ = try await connection.run("send 1 1") })
            #expect(refusals.limits.withLock { Set($0) } == [.queue])
            test.service.release()
            var count: Int?
            while count == nil { count = try? await connection.run("send 1 1") }
            #expect(count == 1)
            withExtendedLifetime(calls) {}
        }
    }

    @Test("That a server is full does not count against who asks it (P-58)")
    func noAbuse() async throws {
        var configuration = ServerConfiguration()
        configuration.maximumCalls = 1
        try await TestServer.with(configuration) { test in
            let call = try await test.connect().start("wait 1 1")
            _ = try await call.next()
            let peer = try await LivePeer.connect(to: test.endpoint)
            for index in 0..<300 { await peer.send(try Wire.open(StreamID(2 * index + 1), "send 1 1")) }
            let frames = try await peer.until { frames in
                frames.count { $0.header.type == .end } == 300 || frames.last?.header.type == .goAway
            }
            for frame in frames where frame.header.type == .end {
                let details = try StatusDetails(decoding: try EndPayload(decoding: frame.payload.span.bytes).details)
                #expect(frame.header.aux == 8 && details.retryDelay >= 100)
            }
            // The connection goes on.
            await peer.send(Wire.frame(.ping, [0, 0, 0, 0, 0, 0, 0, 1]))
            try await peer.until { $0.contains { $0.header.type == .ping } }
            #expect(peer.goAways == [])
            await peer.close()
        }
    }

    @Test("A channel makes a refused call again, and not before the server said")
    func repetition() async throws {
        var configuration = ServerConfiguration()
        configuration.maximumCalls = 1
        let refusals = Refusals()
        configuration.observer = refusals
        try await TestServer.with(configuration) { test in
            let call = try await test.connect().start("wait 1 1")
            _ = try await call.next()
            let channel = try RPCChannel(to: test.endpoint, logger: .quiet)
            let start = ContinuousClock.now
            async let count = channel.run("send 3 10", CallOptions(waitForReady: true))
            while refusals.limits.withLock(\.count) < 3 { try await Task.sleep(for: .milliseconds(2)) }
            // It has waited twice.
            #expect(start.duration(to: .now) >= .milliseconds(200))
            call.cancel()
            #expect(try await count == 3)
            #expect(refusals.limits.withLock { Set($0) } == [.server])
            await channel.close()
        }
    }

    /// A server that refuses every call, and says that it is worth coming again after so long.
    private func withRefusingServer(_ retryDelay: UInt32, _ body: (RPCChannel) async throws -> Void) async throws {
        let details = try StatusDetails(reason: .resourceLimit, retryDelay: retryDelay).encode()
        let (endpoint, listener) = try await RawPeer.serve([
            (
                Wire.greeting(ServerSettings.default.entries),
                Wire.frame(.end, stream: 1, aux: 8, [0, 0, 0, 0] + details)
            )
        ])
        var configuration = ChannelConfiguration()
        configuration.maximumRepetitions = 2
        configuration.refusals.initial = .milliseconds(1)
        let channel = try RPCChannel(to: endpoint, configuration: configuration, logger: .quiet)
        try await body(channel)
        await channel.close()
        try await listener.close()
    }

    @Test("Where there is no time to come again, the caller is told at once what the server said")
    func noTime() async throws {
        try await withRefusingServer(600_000) { channel in
            for waits in [false, true] {
                let options = CallOptions(timeout: .seconds(60), waitForReady: waits)
                let failure = await error { _ = try await channel.run("send 1 1", options) }
                #expect(failure?.reason == .resourceLimit && failure?.retryDelay == 600_000)
            }
        }
    }

    @Test("One that is refused too often keeps what the server said")
    func tooOften() async throws {
        try await withRefusingServer(1) { channel in
            let failure = await error { _ = try await channel.run("send 1 1") }
            #expect(failure?.reason == .resourceLimit && failure?.retryDelay == 1)
        }
    }
}

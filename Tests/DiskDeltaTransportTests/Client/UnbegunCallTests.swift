import DiskDeltaProtocol
import DiskDeltaTransport
import NIOCore
import Testing

/// Which calls the server provably did not begin, and may be made again (P-93).
@Suite(.timeLimit(.minutes(1)))
struct UnbegunCallTests {
    private func failure(_ rest: [UInt8]) async throws -> CallError? {
        let (endpoint, listener) = try await RawPeer.serve([
            (Wire.greeting(ServerSettings.default.entries), rest)
        ])
        let connection = try await RPCConnection.connect(to: endpoint, logger: .quiet)
        let failure = await error { _ = try await connection.run("send 1 1") }
        try await listener.close()
        return failure
    }

    @Test func refusedByTheServer() async throws {
        let error = try await failure(Wire.frame(.cancel, stream: 1, aux: 256))
        #expect(error?.reason == .resourceLimit)
        #expect(error?.isUnbegun == true)
    }

    /// The payload of an END that says when to come again; 0 does not say it.
    private func end(retryDelay: UInt32) throws -> [UInt8] {
        [0, 0, 0, 0] + (try StatusDetails(reason: .resourceLimit, retryDelay: retryDelay).encode())
    }

    @Test("Refused by the server, which says when to come again (P-99)")
    func refusedWithADelay() async throws {
        let error = try await failure(Wire.frame(.end, stream: 1, aux: 8, try end(retryDelay: 250)))
        #expect(error?.reason == .resourceLimit && error?.retryDelay == 250)
        #expect(error?.isUnbegun == true)
    }

    @Test("An END with another status, without a delay, or after a message does not say that nothing was begun")
    func notRefused() async throws {
        let ends = [
            Wire.frame(.end, stream: 1, aux: 8, try end(retryDelay: 0)),
            Wire.frame(.end, stream: 1, aux: 14, try end(retryDelay: 250)),
            Wire.frame(.data, stream: 1, aux: 0) + Wire.frame(.end, stream: 1, aux: 8, try end(retryDelay: 250)),
        ]
        for (index, end) in ends.enumerated() {
            #expect(try await failure(end)?.isUnbegun == false, "\(index)")
        }
    }

    @Test func aboveTheStreamThatGoAwayNames() async throws {
        for code: UInt8 in [0, 10] {
            let error = try await failure(Wire.frame(.goAway, aux: 0, [0, 0, 0, code, 0, 0]))
            #expect(error?.reason == .serverUnavailable)
            #expect(error?.isUnbegun == true)
        }
    }

    @Test("Calls that may have begun")
    func maybeBegun() async throws {
        let ends = [
            [], Wire.frame(.goAway, aux: 1, [0, 0, 0, 0, 0, 0]), Wire.frame(.goAway, aux: 1, [0, 0, 0, 10, 0, 0]),
            Wire.frame(.cancel, stream: 1, aux: 14), Wire.frame(.end, stream: 1, aux: 14, [0, 0, 0, 0]),
            Wire.frame(.data, stream: 1, aux: 0),
        ]
        for (index, end) in ends.enumerated() {
            // Something must be sent, or the connection ends before the call.
            let error = try await failure(end + Wire.frame(.ping, [0, 0, 0, 0, 0, 0, 0, 0]))
            #expect(error?.reason == .serverUnavailable, "\(index)")
            #expect(error?.isUnbegun == false, "\(index)")
        }
    }

    @Test func neverSent() async throws {
        try await TestServer.with { test in
            let connection = try await test.connect()
            await connection.close()
            let error = await error { _ = try await connection.run("send 1 1") }
            #expect(error?.isUnbegun == true)
        }
    }

    /// An address of this machine that is not loopback; nil where it has none.
    private static let outerAddress = (try? System.enumerateDevices())?.lazy.compactMap(\.address).first {
        $0.protocol == .inet && $0.ipAddress?.hasPrefix("127.") == false
    }?.ipAddress

    private func runWithToken(_ connection: RPCConnection) async throws(CallError) -> Int {
        var options = CallOptions()
        _ = options.metadata.append("authorization", Array("Bearer secret".utf8))
        let call: TypedCall<RangeAnswer> = try await connection.stream(
            ScriptedService.method,
            request: GetVirtualDiskChangesRequest(path: "send 1 1"),
            options: options
        )
        return try await call.readToEnd()
    }

    @Test func aTokenIsSentWhereNobodyElseCanReadIt() async throws {
        try await TestServer.with { test in
            let connection = try await test.connect()
            #expect(try await runWithToken(connection) == 1)
        }
    }

    @Test(.enabled(if: outerAddress != nil, "this machine has no address but loopback"))
    func aTokenIsNotSentWhereOthersCouldReadIt() async throws {
        let address = try #require(Self.outerAddress)
        try await TestServer.with(on: .tcp(host: address, port: 0)) { test in
            let connection = try await test.connect()
            let error = await error { _ = try await runWithToken(connection) }
            #expect(error?.reason == .invalidParameter)
            #expect(error?.message.contains("P-82") == true)
            #expect(test.counts.opened == 0)
            #expect(try await connection.run("send 1 1") == 1)
        }
    }
}

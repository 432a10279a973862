import DiskDeltaProtocol
import DiskDeltaTransport
import NIOCore
import TestSupport
import Testing

/// A broken answer is never taken for a complete one.
@Suite(.timeLimit(.minutes(3)))
struct BrokenConnectionTests {
    private static let greetingLength = 16 + 16 + 24

    /// What a server really sent for one call of four messages, up to its END.
    private func recording() async throws -> [UInt8] {
        var configuration = ServerConfiguration()
        // This client answers no PING.
        configuration.times.drain = .zero
        return try await TestServer.with(configuration) { test in
            let open = try Wire.open(1, "send 4 20")
            async let received = RawPeer.talk(to: test.endpoint, Wire.greeting() + open)
            try await test.until { $0.pulled == 5 }
            await test.server.stop()
            let all = try await received
            let frames = try Wire.frames(all)
            #expect(frames.filter { $0.header.type == .data }.count == 4)
            // The GOAWAYs and the PING of the stopping server may stand before or after the END; they are no part of the answer.
            var bytes = Array(all.prefix(Preface.byteCount))
            for frame in frames where frame.header.type != .goAway && frame.header.type != .ping {
                frame.header.encode(into: &bytes)
                bytes += frame.payload
            }
            #expect(frames.contains { $0.header.type == .end && $0.header.aux == 0 })
            return bytes
        }
    }

    private func outcome(_ endpoint: Endpoint) async -> Result<Int, CallError> {
        do throws(CallError) {
            let connection = try await RPCConnection.connect(to: endpoint, logger: .quiet)
            return .success(try await connection.run("send 4 20"))
        } catch {
            return .failure(error)
        }
    }

    @Test func anAnswerCutAtAnyByteIsNoSuccess() async throws {
        let bytes = try await recording()
        let scripts = (0...bytes.count).map { cut in
            (
                opening: Array(bytes.prefix(min(cut, Self.greetingLength))),
                rest: Array(bytes.prefix(cut).dropFirst(Self.greetingLength))
            )
        }
        let (endpoint, listener) = try await RawPeer.serve(scripts)
        for cut in 0..<bytes.count {
            let result = await outcome(endpoint)
            guard case .failure(let error) = result else {
                Issue.record("cut at byte \(cut) of \(bytes.count): \(result)")
                continue
            }
            #expect(error.reason == .serverUnavailable, "cut at byte \(cut): \(error)")
        }
        #expect(await outcome(endpoint) == .success(4))
        try await listener.close()
    }

    @Test func messagesBeforeTheCutCanStillBeRead() async throws {
        let bytes = try await recording()
        let frames = try Wire.frames(bytes)
        let end = try #require(frames.last)
        let cut = bytes.count - end.payload.count - 16
        let (endpoint, listener) = try await RawPeer.serve([
            (Array(bytes.prefix(Self.greetingLength)), Array(bytes[Self.greetingLength..<cut]))
        ])
        let connection = try await RPCConnection.connect(to: endpoint, logger: .quiet)
        let call = try await connection.start("send 4 20")
        for index in 1...4 { #expect(try await call.next() == ScriptedService.message(index, size: 20)) }
        #expect(await error { _ = try await call.next() }?.reason == .serverUnavailable)
        try await listener.close()
    }

    @Test func aServerThatBreaksARuleIsNotTrusted() async throws {
        let bytes = try await recording()
        let greeting = Array(bytes.prefix(Self.greetingLength))
        let end = Wire.frame(.end, stream: 1, [0, 0, 0, 0])
        let first = Wire.frame(.data, stream: 1, aux: 0)
        let broken: [[UInt8]] = [
            first + Wire.frame(.data, stream: 1, aux: 2) + end,
            first + Wire.frame(FrameType(rawValue: 0x44)) + end,
            first + Wire.frame(.data, stream: 1, aux: 1, length: 1 << 24) + end,
            first + Wire.frame(.data, stream: 7) + end,
            first + Wire.frame(.end, stream: 1, [0]) + end,
            first + Wire.frame(.end, stream: 1, aux: 17, [0, 0, 0, 0]) + end,
            first + Wire.frame(.settings) + end,
            // OK with a reason, and with details that do not parse.
            first + Wire.frame(.end, stream: 1, [0, 0, 0, 0] + (try StatusDetails(reason: .internal).encode())),
            first + Wire.frame(.end, stream: 1, [0, 0, 0, 0, 0x2A, 0x7F]),
            // A message that does not parse.
            Wire.frame(.data, stream: 1, aux: 0, [0x0A, 0x7F]) + end,
        ]
        let (endpoint, listener) = try await RawPeer.serve(broken.map { (greeting, $0) })
        for index in broken.indices {
            let result = await outcome(endpoint)
            guard case .failure(let error) = result else {
                Issue.record("case \(index): \(result)")
                continue
            }
            #expect(error.reason == .answerInvalid, "case \(index): \(error)")
            #expect(error.status == .internal)
        }
        try await listener.close()
    }

    @Test func endsThatAreNoSuccess() async throws {
        let bytes = try await recording()
        let greeting = Array(bytes.prefix(Self.greetingLength))
        let first = Wire.frame(.data, stream: 1, aux: 0)
        let ends: [([UInt8], Reason)] = [
            (first + Wire.frame(.cancel, stream: 1, aux: 14), .serverUnavailable),
            (Wire.frame(.cancel, stream: 1, aux: 256), .resourceLimit),
            (first + Wire.frame(.goAway, aux: 0, [0, 0, 0, 0, 0, 0]), .serverUnavailable),
            (first + Wire.frame(.goAway, aux: 1, [0, 0, 0, 10, 0, 0]), .serverUnavailable),
            (first + Wire.frame(.end, stream: 1, aux: 15, [0, 0, 0, 0]), .imageCorrupt),
        ]
        let (endpoint, listener) = try await RawPeer.serve(ends.map { (greeting, $0.0) })
        for (index, end) in ends.enumerated() {
            let result = await outcome(endpoint)
            guard case .failure(let error) = result else {
                Issue.record("case \(index): \(result)")
                continue
            }
            #expect(error.reason == end.1, "case \(index): \(error)")
        }
        try await listener.close()
    }

    @Test(arguments: [UInt64](1...6))
    func damagedAnswersNeverTrapTheClient(_ seed: UInt64) async throws {
        var random = RepeatableGenerator(seed: seed)
        let bytes = try await recording()
        let scripts = (0..<60).map { _ in
            var damaged = bytes
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                // Not bit 7: of a type, it makes a frame one that may be skipped. Where that is the last message, only the
                // totals of the answer can tell.
                damaged[Int.random(in: 0..<damaged.count, using: &random)] ^=
                    1 << UInt8.random(in: 0..<7, using: &random)
            }
            return (Array(damaged.prefix(Self.greetingLength)), Array(damaged.dropFirst(Self.greetingLength)))
        }
        let (endpoint, listener) = try await RawPeer.serve(scripts)
        for _ in scripts {
            // A changed bit of a message's content is not for this layer to find; the count of messages is.
            if case .success(let count) = await outcome(endpoint) { #expect(count == 4, "seed \(seed)") }
        }
        try await listener.close()
    }
}

import DiskDeltaProtocol
import DiskDeltaTransport
import TestSupport
import Testing

/// A client that breaks a rule is told so and loses its connection; the server goes on serving others.
@Suite(.timeLimit(.minutes(2)))
struct HostileClientTests {
    @Test func breachesAreToldAndOthersAreServed() async throws {
        try await TestServer.with { test in
            let witness = try await test.connect()
            let greeting = Wire.greeting()
            let open = try Wire.open(1, "wait 1 1")
            let breaches: [([UInt8], GoAwayCode)] = [
                (Wire.frame(.data, stream: 1, length: 65_537), .frameTooLarge),
                (Wire.frame(FrameType(rawValue: 0x7E)), .unknownFrame),
                (Wire.frame(.settings), .protocolError),
                (Wire.frame(.data, stream: 1), .protocolError),
                (Wire.frame(.open, stream: 2, [0, 3, 0, 0, 97, 47, 98]), .streamError),
                (Wire.frame(.open, stream: 1, [0, 3, 0, 9, 97, 47, 98]), .protocolError),
                (open + Wire.frame(.cancel, stream: 3, aux: 1), .streamError),
                (open + open, .streamError),
                (open + Wire.frame(.credit, stream: 1, aux: 1), .flowControlError),
                (open + Wire.frame(.credit, stream: 1, aux: 0x7FFF_FFFF), .flowControlError),
                (Wire.frame(.ping, flags: 1, [0, 0, 0, 0, 0, 0, 0, 0]), .protocolError),
                ([UInt8](repeating: 0xFF, count: 64), .frameTooLarge),
            ]
            for (index, breach) in breaches.enumerated() {
                for step in [1, 1_000] {
                    let received = try await RawPeer.talk(to: test.endpoint, greeting + breach.0, step: step)
                    let goAway = try Wire.goAway(in: received)
                    #expect(goAway?.code == breach.1, "case \(index): \(goAway?.text ?? "no GOAWAY")")
                    #expect(goAway?.text.isEmpty == false)
                }
            }
            #expect(try await witness.run("send 20 1000") == 20)
            // The calls of the broken connections are stopped.
            try await test.until { $0.released == $0.opened }
        }
    }

    @Test func anotherVersionIsToldAfterTheServersPreface() async throws {
        try await TestServer.with { test in
            var greeting = Wire.greeting()
            greeting[9] = 2
            let received = try await RawPeer.talk(to: test.endpoint, greeting)
            #expect(try Preface(decoding: Array(received.prefix(16)).span.bytes) == .current)
            #expect(try Wire.goAway(in: received)?.code == .unsupportedVersion)
        }
    }

    @Test func whoSpeaksSomethingElseIsToldNothing() async throws {
        try await TestServer.with { test in
            let received = try await RawPeer.talk(to: test.endpoint, Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
            #expect(received == [])
        }
    }

    @Test func aPingIsAnswered() async throws {
        try await TestServer.with { test in
            let ping = Wire.frame(.ping, [1, 2, 3, 4, 5, 6, 7, 8])
            let received = try await RawPeer.talk(to: test.endpoint, Wire.greeting() + ping + Wire.unknown)
            let answer = try Wire.frames(received).first { $0.header.type == .ping }
            #expect(answer?.header.flags == FrameHeader.acknowledgement)
            #expect(answer?.payload == [1, 2, 3, 4, 5, 6, 7, 8])
        }
    }

    @Test func aHandshakeThatDoesNotComeIsNotWaitedForLong() async throws {
        var configuration = ServerConfiguration()
        configuration.times.handshake = .seconds(1)
        try await TestServer.with(configuration) { test in
            #expect(try await RawPeer.talk(to: test.endpoint, Array(Wire.greeting().prefix(10))) == [])
            let received = try await RawPeer.talk(to: test.endpoint, Array(Wire.greeting().prefix(20)))
            #expect(try Wire.goAway(in: received)?.code == .handshakeTimeout)
        }
    }

    @Test(arguments: [UInt64](1...8))
    func randomBytesDoNotStopTheServer(_ seed: UInt64) async throws {
        var random = RepeatableGenerator(seed: seed)
        try await TestServer.with { test in
            let witness = try await test.connect()
            for round in 0..<25 {
                var bytes = Wire.greeting() + (try Wire.open(1, "send 3 10")) + (try Wire.open(3, "wait 1 10"))
                for _ in 0..<Int.random(in: 0...4, using: &random) {
                    bytes[Int.random(in: 16..<bytes.count, using: &random)] = .random(in: 0...255, using: &random)
                }
                bytes += (0..<Int.random(in: 0...200, using: &random)).map { _ in .random(in: 0...255, using: &random) }
                _ = try await RawPeer.talk(to: test.endpoint, bytes + Wire.manyUnknown)
                #expect(try await witness.run("send 2 10") == 2, "seed \(seed), round \(round)")
            }
        }
    }
}

import DiskDeltaClient
import DiskDeltaProtocol
import DiskDeltaTransport
import TestSupport
import Testing

/// Clients that break the rules of the protocol: each is told so and loses its connection, and nobody else notices.
@Suite("Hostile clients", .enabled(if: Programs.areBuilt, Programs.absence), .timeLimit(.minutes(2)))
struct HostileClientTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        try LargeAnswers.writeLong(in: folder)
    }

    /// Sends bytes, and gives what the server said before it closed.
    private func talk(_ bytes: [UInt8], to address: String) throws -> [UInt8] {
        let connection = try RawConnection(to: address)
        connection.send(bytes)
        return try connection.receiveAll()
    }

    /// The GOAWAY at the end of what a server sent.
    private func goAway(_ bytes: [UInt8]) throws -> GoAwayPayload? {
        var rest = bytes.dropFirst(Preface.byteCount)
        while rest.count >= FrameHeader.byteCount {
            let start = Array(rest.prefix(FrameHeader.byteCount))
            let header = try FrameHeader(decoding: start.span.bytes, maximumLength: FrameHeader.hardCap)
            let payload = Array(rest.dropFirst(FrameHeader.byteCount).prefix(Int(header.length)))
            rest = rest.dropFirst(FrameHeader.byteCount + Int(header.length))
            if header.type == .goAway {
                #expect(rest.isEmpty, "nothing follows GOAWAY")
                return try GoAwayPayload(decoding: payload.span.bytes)
            }
        }
        return nil
    }

    @Test func eachIsToldWhyAndTheOthersAreServed() async throws {
        var tooLong = Frame(.ping).bytes
        tooLong.replaceSubrange(0..<4, with: [0xFF, 0xFF, 0xFF, 0xFF])
        let open = try Frame.open(LargeAnswers.long).bytes
        let breaches: [(what: String, bytes: [UInt8], code: GoAwayCode)] = [
            ("a frame that is too long", tooLong, .frameTooLarge),
            ("an unknown frame", Frame(FrameType(rawValue: 0x7E)).bytes, .unknownFrame),
            ("SETTINGS a second time", Frame(.settings).bytes, .protocolError),
            ("a frame of the server's", Frame(.data, stream: 1).bytes, .protocolError),
            ("CANCEL of no stream", Frame(.cancel, stream: 1, aux: 1).bytes, .streamError),
            ("OPEN of an even stream", (try Frame.open(LargeAnswers.long, stream: 2)).bytes, .streamError),
            ("OPEN twice", open + open, .streamError),
            ("credit without bound", open + Frame(.credit, stream: 1, aux: 0x7FFF_FFFF).bytes, .flowControlError),
            ("an answer to no PING", Frame(.ping, flags: 1, payload: Array(1...8)).bytes, .protocolError),
            ("OPEN that ends too early", Frame(.open, stream: 1, payload: [0, 9, 0, 0]).bytes, .protocolError),
        ]
        try await RunningServer.with(folder) { server in
            // Little credit: the witness's answer cannot be on its way as a whole.
            let settings = ClientSettings(maximumFrame: 16_384, streamCredit: 32_800, connectionCredit: 65_600)
            let connection = try await RPCConnection.connect(to: Endpoint(server.tcp), settings: settings)
            let stream = try await DiskDeltaClient(connection).changes(LargeAnswers.long)
            var batches = stream.makeAsyncIterator()
            var count = try await batches.next()?.count ?? 0
            for (what, bytes, code) in breaches {
                for address in [server.tcp, server.unix] {
                    let goAway = try goAway(try talk(Frame.greeting() + bytes, to: address))
                    #expect(goAway?.code == code, "\(what): \(goAway?.text ?? "no GOAWAY")")
                    #expect(goAway?.text.isEmpty == false, "\(what)")
                }
                count += try await batches.next()?.count ?? 0
            }
            // Who speaks something else is told nothing.
            #expect(try talk(Array("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8), to: server.tcp).isEmpty)
            // A frame before SETTINGS.
            let early = Array(Frame.greeting().prefix(Preface.byteCount)) + Frame(.ping, payload: Array(1...8)).bytes
            #expect(try goAway(try talk(early, to: server.tcp))?.code == .protocolError)

            while let batch = try await batches.next() { count += batch.count }
            #expect(count == 300 * 1_024)
            #expect(await stream.totals?.ranges == 300 * 1_024)
            await connection.close()
        }
    }

    @Test("Random bytes after the preface", arguments: [UInt64(1), 2, 3])
    func randomBytes(seed: UInt64) async throws {
        print("random bytes with the seed \(seed)")
        var random = RepeatableGenerator(seed: seed)
        try await RunningServer.with(folder) { server in
            for _ in 0..<40 {
                var bytes = Frame.greeting() + (try Frame.open(LargeAnswers.long)).bytes
                for _ in 0..<Int.random(in: 1...6, using: &random) {
                    bytes[Int.random(in: 0..<bytes.count, using: &random)] = .random(in: 0...255, using: &random)
                }
                let connection = try RawConnection(to: server.tcp)
                connection.send(bytes)
            }
            let ranges = try await withDiskDeltaClient(to: server.tcp) { client in
                try await Asking.ranges(try await client.changes(LargeAnswers.long))
            }
            #expect(ranges.count == 300 * 1_024)
        }
    }
}

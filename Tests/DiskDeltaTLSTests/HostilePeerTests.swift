import DiskDeltaTLS
import NIOCore
import TestSupport
import Testing

/// A peer that has agreed upon everything, and then does what no honest one does.
@Suite(
    "TLS with a hostile peer",
    .enabled(if: TestCertificates.canBeMade, "\(TestCertificates.absence)"),
    .timeLimit(.minutes(1))
)
struct HostilePeerTests {
    private func connected() throws -> (RawClient, TLSSession) {
        let client = try RawClient()
        let server = try TLSSession(try Contexts.server())
        var isOpen = false
        for _ in 0..<4 {
            client.shakeHands()
            isOpen = server.receive(client.takeOutput()).isHandshakeOver || isOpen
            if let answer = server.takeOutput() { client.receive(answer) }
        }
        #expect(isOpen)
        return (client, server)
    }

    @Test("New keys are taken now and then, and data under them is heard")
    func newKeys() throws {
        let (client, server) = try connected()
        for _ in 0..<5_000 {
            #expect(server.receive(client.updateKeys()).end == nil)
            client.send("x")
            #expect(server.receive(client.takeOutput()).plaintext == ByteBuffer(string: "x"))
        }
        // Each request is answered, by a record without data.
        #expect(server.outputCount <= 5_000 * 32)
    }

    @Test("New keys over and over with nothing to protect end the connection")
    func endlessKeys() throws {
        let (client, server) = try connected()
        var count = 0
        var end: TLSSession.End?
        while end == nil, count < 10_000 {
            end = server.receive(client.updateKeys()).end
            count += 1
        }
        #expect(end.map { "\($0)" }?.contains("records without data") == true, "\(end as Any)")
        #expect((1_000..<4_000).contains(count), "\(count)")
    }

    @Test("Keys are not exchanged in finite fields, which would have a server compute for long")
    func finiteFields() throws {
        for group in ["ffdhe2048", "ffdhe3072", "ffdhe4096", "ffdhe6144", "ffdhe8192"] {
            let client = try RawClient(groups: group)
            client.shakeHands()
            let server = try TLSSession(try Contexts.server())
            let end = try #require(server.receive(client.takeOutput()).end)
            #expect("\(end)".contains("no suitable key share"), "\(group): \(end)")
        }
        for group in ["X25519", "P-256", "P-384", "P-521", "ffdhe8192:P-384"] {
            let client = try RawClient(groups: group)
            let server = try TLSSession(try Contexts.server())
            var isOpen = false
            for _ in 0..<4 {
                client.shakeHands()
                isOpen = server.receive(client.takeOutput()).isHandshakeOver || isOpen
                if let answer = server.takeOutput() { client.receive(answer) }
            }
            #expect(isOpen, "\(group)")
        }
    }

    @Test("Who the peer is does not depend on what it sends behind the handshake, were it damage in the same read")
    func damageBehindTheHandshake() throws {
        let certificates = try TestCertificates.shared()
        let client = try RawClient(identity: certificates.client)
        let server = try TLSSession(
            try Contexts.server(clients: .optional(try certificates.authority.certificates()))
        )
        client.shakeHands()
        #expect(server.receive(client.takeOutput()).end == nil)
        #expect(server.peerCertificate == nil && server.applicationProtocol == nil)
        client.receive(try #require(server.takeOutput()))
        client.shakeHands()
        client.send("a request")
        var bytes = client.takeOutput()
        bytes.writeBytes([23, 3, 3, 0, 32] + [UInt8](repeating: 7, count: 32))
        let received = server.receive(bytes)
        #expect(received.isHandshakeOver && received.plaintext == ByteBuffer(string: "a request"))
        guard case .failed = received.end else {
            Issue.record("\(received.end as Any)")
            return
        }
        #expect(server.peerCertificate?.alternativeNames.isEmpty == false)
        #expect(throws: TLSError.self) { try server.send(ByteBuffer(string: "an answer")) }
    }

    @Test("A hello that says it is longer than any is refused before there is room for it, however it is cut")
    func longHello() throws {
        let long: [[UInt8]] = [
            [22, 3, 1, 0, 4, 1, 1, 0xff, 0xf0],
            [22, 3, 1, 0, 1, 1, 22, 3, 1, 0, 3, 1, 0xff, 0xf0],
            [22, 3, 1, 0x40, 0, 1, 0, 0x40, 1],
        ]
        for bytes in long {
            for length in [1, bytes.count] {
                let server = try TLSSession(try Contexts.server())
                var ends: [TLSSession.End] = []
                for start in stride(from: 0, to: bytes.count, by: length) {
                    let piece = bytes[start..<min(bytes.count, start + length)]
                    if let end = server.receive(ByteBuffer(bytes: piece)).end { ends.append(end) }
                }
                #expect(ends.count == 1 && "\(ends)".contains("too long"), "\(bytes): \(ends)")
            }
        }
        // The second hello, which an empty list of keys makes the server ask for, is no other.
        let client = try RawClient(groups: "P-521:X25519")
        client.shakeHands()
        let hello = client.takeOutput()
        let server = try TLSSession(try Contexts.server())
        #expect(server.receive(hello).end == nil)
        let second: [UInt8] = [20, 3, 3, 0, 1, 1, 22, 3, 3, 0, 4, 1, 1, 0xff, 0xf0]
        let end = server.receive(ByteBuffer(bytes: second)).end
        #expect(end.map { "\($0)".contains("too long") } == true, "\(end as Any)")
    }

    @Test("A peer that takes its leave in the middle of the handshake has closed")
    func leaveInTheHandshake() throws {
        let leave = ByteBuffer(bytes: [21, 3, 3, 0, 2, 1, 0])
        let client = try TLSSession(try Contexts.client(), peer: TLSPeerName("localhost"))
        try client.begin()
        let raw = try RawClient()
        raw.shakeHands()
        let server = try TLSSession(try Contexts.server())
        _ = server.receive(raw.takeOutput())
        for session in [client, server] {
            guard case .failed(let error) = session.receive(leave).end else {
                Issue.record("it goes on")
                continue
            }
            #expect(error.kind == .cutInHandshake, "\(error)")
        }
    }
}

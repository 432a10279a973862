import DiskDeltaTLS
import NIOCore
import TestSupport
import Testing

@Suite(
    "TLS without sockets",
    .enabled(if: TestCertificates.canBeMade, "\(TestCertificates.absence)"),
    .timeLimit(.minutes(3))
)
struct TLSSessionTests {
    private let certificates: TestCertificates

    init() throws { certificates = try TestCertificates.shared() }

    // Made once, because thousands of handshakes need them.
    private static let contexts = Result {
        let certificates = try TestCertificates.shared()
        return (
            client: try Contexts.client(certificates.client),
            server: try Contexts.server(clients: .required(try certificates.authority.certificates()))
        )
    }

    private func mutual() throws -> SessionPair {
        let contexts = try Self.contexts.get()
        return try SessionPair(contexts.client, contexts.server)
    }

    /// What both sides make of a handshake.
    private func outcome(
        _ client: TLSContext,
        _ server: TLSContext,
        peer: String = "localhost"
    ) throws -> (client: SessionPair.Heard, server: SessionPair.Heard) {
        let pair = try SessionPair(client, server, peer: peer)
        pair.settle()
        return (pair.heardByClient, pair.heardByServer)
    }

    private func distrust(_ heard: SessionPair.Heard) -> TLSError.Distrust? {
        if case .untrusted(let distrust) = heard.error?.kind { distrust } else { nil }
    }

    // MARK: What works

    @Test("Both sides agree, know each other, and hear what the other sends, in pieces of any length")
    func conversation() throws {
        for seed in 1...20 as ClosedRange<UInt64> {
            var random = RepeatableGenerator(seed: seed)
            let pair = try mutual()
            let longest = [1, 7, 1_000, 100_000][Int(seed % 4)]
            pair.pieceLength = { Int.random(in: 1...longest, using: &random) }
            pair.settle()
            #expect(pair.heardByClient.isOpen && pair.heardByServer.isOpen, "seed \(seed)")
            #expect(pair.client.applicationProtocol == Contexts.application)
            #expect(pair.server.applicationProtocol == Contexts.application)
            var generator = RepeatableGenerator(seed: seed)
            var (toServer, toClient): ([UInt8], [UInt8]) = ([], [])
            for _ in 0..<4 {
                let count = Int.random(in: 0...50_000, using: &generator)
                let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
                pair.send(bytes, to: .server)
                pair.send(bytes.reversed(), to: .client)
                toServer += bytes
                toClient += bytes.reversed()
            }
            #expect(pair.heardByServer.plaintext == toServer, "seed \(seed)")
            #expect(pair.heardByClient.plaintext == toClient, "seed \(seed)")
            let shown = try #require(pair.server.peerCertificate)
            #expect(shown.der == (try certificates.client.certificates()[0].der))
            #expect(shown.alternativeNames.map(\.kind) == [.uri, .dns])
            let names = [TestCertificates.clientURI, "backup.example.com"]
            #expect(shown.alternativeNames.map(\.bytes) == names.map { Array($0.utf8) })
            pair.client.finish()
            pair.settle()
            #expect(pair.heardByServer.end == .closed)
            pair.server.finish()
            pair.settle()
            #expect(pair.heardByClient.end == .closed)
        }
    }

    @Test("A megabyte that arrives at once, and one that arrives byte by byte, is what was sent")
    func muchAtOnce() throws {
        let pair = try mutual()
        pair.settle()
        let bytes = (0..<1_000_003).map { UInt8(truncatingIfNeeded: $0 >> 3) }
        pair.send(bytes, to: .client)
        #expect(pair.heardByClient.plaintext == bytes)
        pair.pieceLength = { 1 }
        pair.send(Array(bytes.prefix(40_000)), to: .server)
        #expect(pair.heardByServer.plaintext == Array(bytes.prefix(40_000)))
    }

    @Test("After the handshake nobody sends anything by himself: there are no tickets to come back with")
    func noTickets() throws {
        let pair = try mutual()
        // By turns: the client's first message, the server's, the client's last.
        for side in [SessionPair.Side.server, .client, .server] {
            let sender = side == .client ? pair.server : pair.client
            pair.deliver(side, try #require(sender.takeOutput()))
        }
        #expect(pair.heardByServer.isOpen)
        #expect(pair.server.takeOutput() == nil)
        #expect(pair.client.takeOutput() == nil)
    }

    @Test("A server's name, addresses and wildcards")
    func names() throws {
        let client = try Contexts.client()
        let server = try Contexts.server()
        for right in ["localhost", "LOCALHOST", "localhost.", "127.0.0.1", "::1", "0:0:0:0:0:0:0:1", "::1%lo"] {
            #expect(try outcome(client, server, peer: right).client.isOpen, "\(right)")
        }
        // To what connects, numbers that begin with a zero are octal, so these are names or other addresses.
        let oddNumbers = ["0127.0.0.1", "127.00.0.1", "+127.0.0.1", "127.0.0.1."]
        for wrong in ["localhos", "localhost.example.com", "127.0.0.2", "::2", "server"] + oddNumbers {
            let heard = try outcome(client, server, peer: wrong)
            #expect(distrust(heard.client)?.cause == .otherName, "\(wrong)")
            #expect(!heard.client.isOpen && !heard.server.isOpen, "\(wrong)")
        }
        let wildcard = try Contexts.server(
            try certificates.issue("wildcard", alternativeNames: "DNS:*.example.com,DNS:w*.example.org", usage: .server)
        )
        for (name, isRight) in [
            ("a.example.com", true), ("A.Example.Com", true), ("example.com", false), ("a.b.example.com", false),
            ("web.example.org", false), ("a.example.org", false), ("xexample.com", false),
        ] {
            #expect(try outcome(client, wildcard, peer: name).client.isOpen == isRight, "\(name)")
        }
        // A common name is nobody's name, and an address written as a name is none.
        let nameless = try Contexts.server(try certificates.issue("localhost", alternativeNames: nil, usage: .server))
        #expect(try outcome(client, nameless).client.isOpen == false)
        let written = try Contexts.server(
            try certificates.issue("written", alternativeNames: "DNS:127.0.0.1", usage: .server)
        )
        #expect(try outcome(client, written, peer: "127.0.0.1").client.isOpen == false)
        for none in ["", ".", ".example.com", "a b", "a\0b", "ä.example.com", String(repeating: "a", count: 256)] {
            #expect(TLSPeerName(none) == nil, "\(none)")
        }
        #expect(throws: TLSError.self) { try TLSSession(client) }
    }

    // MARK: Who is not let in

    @Test("Servers that are not who they should be: the client says why, and the server never opens")
    func servers() throws {
        let client = try Contexts.client()
        let wrong: [(IssuedCertificate, (TLSError.Distrust.Cause) -> Bool)] = [
            (certificates.strangeServer, { $0 == .unknownAuthority }),
            (certificates.expiredServer, { if case .expired = $0 { true } else { false } }),
            (certificates.misnamedServer, { $0 == .otherName }),
            (
                try certificates.issue("for-clients", alternativeNames: "DNS:localhost", usage: .client),
                { $0 == .other }
            ),
        ]
        for (identity, isCause) in wrong {
            let heard = try outcome(client, try Contexts.server(identity))
            let found = try #require(distrust(heard.client), "\(identity.certificate)")
            #expect(isCause(found.cause) && found.isOwn, "\(found)")
            #expect(!heard.client.isOpen && !heard.server.isOpen)
            guard case .alert = heard.server.error?.kind else {
                Issue.record("\(identity.certificate): \(heard.server)")
                continue
            }
        }
    }

    @Test("Clients that are not who they should be, and clients without a certificate")
    func clients() throws {
        let authorities = try certificates.authority.certificates()
        for stranger in [certificates.strangeClient, certificates.expiredClient, certificates.server] {
            for asked in [TLSContext.ClientCertificates.required(authorities), .optional(authorities)] {
                let heard = try outcome(try Contexts.client(stranger), try Contexts.server(clients: asked))
                #expect(distrust(heard.server) != nil, "\(stranger.certificate): \(heard.server)")
                #expect(!heard.server.isOpen && heard.client.error != nil)
            }
        }
        let without = try outcome(try Contexts.client(), try Contexts.server(clients: .required(authorities)))
        #expect(without.server.error?.kind == .noCertificate)
        #expect(without.client.error?.kind == .alert(TLSError.certificateRequired))
        let pair = try SessionPair(try Contexts.client(), try Contexts.server(clients: .optional(authorities)))
        pair.settle()
        #expect(pair.heardByServer.isOpen)
        #expect(pair.server.peerCertificate == nil)
    }

    @Test("Clients of any number of authorities are let in, also if their names are too many to be sent")
    func manyAuthorities() throws {
        let authority = try #require(try certificates.authority.certificates().first)
        for count in [1, 1_000, 2_000, 20_000] {
            let many = [TLSCertificate](repeating: authority, count: count)
            let server = try Contexts.server(clients: .required(many))
            let heard = try outcome(try Contexts.client(certificates.client), server)
            #expect(heard.client.isOpen && heard.server.isOpen, "\(count): \(heard.server)")
            #expect(try !outcome(try Contexts.client(certificates.strangeClient), server).server.isOpen)
        }
    }

    @Test("A certificate that is no authority's vouches for nobody, whatever its key may be used for")
    func falseAuthorities() throws {
        for usage in [[], ["keyUsage=keyCertSign,digitalSignature"], ["basicConstraints=critical,CA:FALSE"]] {
            let middle = try certificates.issue(
                "middle",
                alternativeNames: "DNS:middle.example.com",
                usage: .server,
                extensions: usage
            )
            let end = try certificates.issue("end", alternativeNames: "DNS:localhost", usage: .server, by: middle)
            let identity = try end.identity(with: try middle.certificates())
            let server = try TLSContext.server(identity, clients: .none, applicationProtocols: [])
            let heard = try outcome(try Contexts.client(), server)
            #expect(!heard.client.isOpen && distrust(heard.client) != nil, "\(usage): \(heard.client)")
        }
        let middle = try certificates.issue(
            "real-middle",
            alternativeNames: nil,
            usage: .server,
            extensions: ["basicConstraints=critical,CA:TRUE"]
        )
        let end = try certificates.issue("real-end", alternativeNames: "DNS:localhost", usage: .server, by: middle)
        let identity = try end.identity(with: try middle.certificates())
        let server = try TLSContext.server(identity, clients: .none, applicationProtocols: [])
        #expect(try outcome(try Contexts.client(), server).client.isOpen)
    }

    @Test("The first protocol of the server that the client offers, and none if there is none")
    func protocols() throws {
        for (offered, known, agreed) in [
            (["h2", "diskdelta/1"], ["diskdelta/1"], "diskdelta/1"), (["a", "b"], ["b", "a"], "b"),
            (["h2"], ["diskdelta/1"], nil), ([], ["diskdelta/1"], nil), (["diskdelta/1"], [], nil),
            (["diskdelta/10", "diskdelta/"], ["diskdelta/1"], nil),
        ] {
            let pair = try SessionPair(
                try Contexts.client(protocols: offered),
                try Contexts.server(protocols: known)
            )
            pair.settle()
            #expect(pair.heardByClient.isOpen && pair.heardByServer.isOpen)
            #expect(pair.client.applicationProtocol == agreed, "\(offered) \(known)")
            #expect(pair.server.applicationProtocol == agreed, "\(offered) \(known)")
        }
    }

    // MARK: What is broken on the way

    @Test("A handshake of which any one bit was changed ends, or was between the right two all the same")
    func spoilt() throws {
        let whole = try mutual()
        whole.settle()
        #expect(whole.heardByServer.isOpen)
        var random = RepeatableGenerator(seed: 20)
        let genuineServer = try certificates.server.certificates()[0].der
        let genuineClient = try certificates.client.certificates()[0].der
        var unharmed = 0
        for (side, length) in [(SessionPair.Side.client, whole.sentToClient), (.server, whole.sentToServer)] {
            for place in 0..<length {
                let bit = UInt8(1) << UInt8.random(in: 0..<8, using: &random)
                let pair = try mutual()
                pair.change = { to, before, bytes in
                    if to == side, bytes.indices.contains(place - before) { bytes[place - before] ^= bit }
                }
                pair.settle()
                pair.send([1, 2, 3], to: .server)
                pair.send([4, 5, 6], to: .client)
                if pair.heardByServer.isOpen, pair.heardByClient.isOpen, pair.heardByServer.plaintext == [1, 2, 3] {
                    unharmed += 1
                }
                if let shown = pair.client.peerCertificate { #expect(shown.der == genuineServer, "byte \(place)") }
                if let shown = pair.server.peerCertificate { #expect(shown.der == genuineClient, "byte \(place)") }
                #expect([[], [1, 2, 3]].contains(pair.heardByServer.plaintext), "byte \(place)")
                // Nothing comes from a server that did not find everything right.
                #expect(
                    pair.heardByClient.plaintext == (pair.heardByServer.isOpen ? [4, 5, 6] : []) || side == .client,
                    "byte \(place)"
                )
            }
        }
        // Only the versions in the headers of records in plaintext are not proved by the handshake: two bytes each, of the two hellos
        // and the two messages for old firewalls, and a few bytes at the end of the last record where a length varied.
        #expect(unharmed <= 16, "\(unharmed) changes did no harm")
    }

    @Test("A handshake that is cut anywhere is none")
    func cut() throws {
        let whole = try mutual()
        whole.settle()
        for (side, length) in [(SessionPair.Side.client, whole.sentToClient), (.server, whole.sentToServer)] {
            // Signatures vary in length by a few bytes.
            for place in 0..<(length - 16) {
                let pair = try mutual()
                pair.change = { to, before, bytes in
                    if to == side { bytes = Array(bytes.prefix(max(0, place - before))) }
                }
                pair.settle()
                #expect(!pair.heardByServer.isOpen, "byte \(place)")
                #expect(pair.heardByServer.plaintext.isEmpty && pair.heardByClient.plaintext.isEmpty)
            }
        }
    }

    @Test("Data that was changed on the way is not heard, and nothing behind it")
    func changedData() throws {
        for place in 0..<100 {
            let pair = try mutual()
            pair.settle()
            pair.send(Array("before".utf8), to: .client)
            pair.change = { _, _, bytes in
                if bytes.count > place { bytes[place] ^= 1 }
            }
            pair.send([UInt8](repeating: 7, count: 70), to: .client)
            pair.change = { _, _, _ in }
            pair.send([UInt8](repeating: 9, count: 70_000), to: .client)
            #expect(pair.heardByClient.plaintext == Array("before".utf8) || place >= 92, "byte \(place)")
            if place < 92 { #expect(pair.heardByClient.error != nil, "byte \(place)") }
        }
    }

    @Test("Bytes that are no TLS end it with a sentence, however many there are")
    func garbage() throws {
        for seed in 1...300 as ClosedRange<UInt64> {
            var random = RepeatableGenerator(seed: seed)
            let count = Int.random(in: 1...3_000, using: &random)
            var bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
            // Half of them begin as a handshake does.
            if seed % 2 == 0 { bytes.replaceSubrange(0..<min(5, bytes.count), with: [22, 3, 1, 0x20, 0]) }
            for context in [try Contexts.client(), try Contexts.server()] {
                let session = try TLSSession(context, peer: TLSPeerName("localhost"))
                try session.begin()
                var end: TLSSession.End?
                for _ in 0..<100_000 where end == nil { end = session.receive(ByteBuffer(bytes: bytes)).end }
                #expect(end != nil, "seed \(seed)")
                #expect(session.receive(ByteBuffer(bytes: bytes)).end == nil)
                #expect(session.peerCertificate == nil)
            }
        }
        let session = try TLSSession(try Contexts.server())
        let end = session.receive(ByteBuffer(string: "GET / HTTP/1.1\r\n\r\n")).end
        #expect(end.map { "\($0)" }?.contains("is no TLS") == true, "\(end as Any)")
    }

    // MARK: Files

    @Test("What is no certificate or no key is refused, and nobody is asked for a passphrase")
    func files() throws {
        let certificate = try bytes(of: certificates.server.certificate)
        let key = try bytes(of: certificates.server.key)
        #expect(try TLSCertificate.list(pem: certificate + certificate).count == 2)
        #expect(try TLSCertificate.list(pem: Array("a line\n".utf8) + certificate + Array("another\n".utf8)).count == 1)
        for wrong: [UInt8] in [[], [0], Array("nothing".utf8), key, certificate + certificate.dropLast(40)] {
            #expect(throws: TLSError.self) { try TLSCertificate.list(pem: wrong) }
        }
        for wrong: [UInt8] in [[], [0], Array("nothing".utf8), certificate, Array(key.dropLast(40))] {
            #expect(throws: TLSError.self) { try TLSKey(pem: wrong) }
        }
        let folder = try TemporaryFolder()
        for (name, options) in [("new", ["-aes128"]), ("old", ["-aes128", "-traditional"])] {
            let made = try Oracles.run(
                try #require(Oracles.find("openssl")),
                ["pkey", "-in", certificates.server.key, "-passout", "pass:secret", "-out", folder.file(name)] + options
            )
            #expect(made.status == 0, "\(made.text)")
            let locked = try bytes(of: folder.file(name))
            #expect(throws: TLSError.self) { try TLSKey(pem: locked) }
        }
        let error = #expect(throws: TLSError.self) {
            try TLSIdentity(chain: certificates.server.certificates(), key: certificates.client.privateKey())
        }
        #expect(error?.kind == .keyMismatch)
    }

    @Test("A certificate with a key that is too short for these times is not shown to anybody")
    func weakKey() throws {
        let folder = try TemporaryFolder()
        let weak = IssuedCertificate(certificate: folder.file("weak.pem"), key: folder.file("weak.key"))
        let made = try Oracles.run(
            try #require(Oracles.find("openssl")),
            ["req", "-x509", "-newkey", "rsa:1024", "-nodes", "-subj", "/CN=weak", "-out", weak.certificate]
                + ["-keyout", weak.key]
        )
        #expect(made.status == 0, "\(made.text)")
        let error = #expect(throws: TLSError.self) { try Contexts.server(weak) }
        #expect(error?.kind == .unusable && error?.description == "ee key too small", "\(error as Any)")
    }
}

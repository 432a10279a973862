import DiskDeltaTLS
import NIOCore
import NIOPosix
import TestSupport
import Testing

/// Connections with the `openssl` command at the other end.
@Suite(
    "TLS with another program",
    .enabled(if: TestCertificates.canBeMade, "\(TestCertificates.absence)"),
    .timeLimit(.minutes(2))
)
struct StrangerTests {
    private let certificates: TestCertificates

    init() throws { certificates = try TestCertificates.shared() }

    /// Sends back what it hears, and ends when it has heard so many bytes.
    private final class Echo: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private var rest: Int

        init(until count: Int) { rest = count }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            rest -= unwrapInboundIn(data).readableBytes
            context.writeAndFlush(data, promise: nil)
            if rest <= 0 { context.close(promise: nil) }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }

    private func withServer(_ context: TLSContext, until count: Int, _ body: (Int) throws -> Void) async throws {
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers(TLSHandler(context), Echo(until: count))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        do {
            try body(try #require(listener.localAddress?.port))
        } catch {
            try await listener.close()
            throw error
        }
        try await listener.close()
    }

    @Test("s_client: what it sends comes back, and it sees TLS 1.3, the protocol, and whose certificates are asked for")
    func client() async throws {
        let context = try Contexts.server(clients: .required(try certificates.authority.certificates()))
        let trust = ["-CAfile", certificates.authority.certificate, "-verify_return_error", "-alpn", "diskdelta/1"]
        let proof = ["-cert", certificates.client.certificate, "-key", certificates.client.key]
        let line = String(repeating: "0123456789abcde\n", count: 10_000)
        try await withServer(context, until: line.utf8.count) { port in
            let quiet = try OpenSSLPeer.client(to: port, trust + proof + ["-quiet", "-ign_eof"], Array(line.utf8))
            #expect(quiet.output == line, "\(quiet.error)")
        }
        try await withServer(context, until: 1) { port in
            let seen = try OpenSSLPeer.client(to: port, trust + proof + ["-ign_eof"], [65])
            for words in [
                "New, TLSv1.3", "ALPN protocol: diskdelta/1", "Verify return code: 0 (ok)",
                "Acceptable client certificate CA names\nCN = DiskDelta test authority",
            ] { #expect(seen.output.contains(words), "\(words): \(seen)") }
            #expect(!seen.output.contains("New Session Ticket"), "\(seen)")
            for old in ["-tls1_2", "-tls1_1"] {
                let options = trust + proof + [old, "-cipher", "ALL@SECLEVEL=0"]
                let refused = try OpenSSLPeer.client(to: port, options, [65])
                #expect(refused.status != 0 && refused.output.contains("Cipher is (NONE)"), "\(refused)")
            }
            let without = try OpenSSLPeer.client(to: port, trust + ["-ign_eof"], [65])
            #expect(without.error.contains("certificate required"), "\(without)")
        }
    }

    /// What a client makes of a server, which sends back each line that it gets, reversed.
    private func ask(_ options: [String], _ identity: IssuedCertificate? = nil) async throws -> String {
        let server = try OpenSSLPeer.server(identity ?? certificates.server, ["-rev"] + options)
        let context = try Contexts.client(certificates.client)
        let answer = MultiThreadedEventLoopGroup.singleton.next().makePromise(of: String.self)
        _ = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let tls = try TLSHandler(context, peer: TLSPeerName("localhost"))
                    try channel.pipeline.syncOperations.addHandlers(tls, Asker(answer))
                }
            }
            .connect(host: "127.0.0.1", port: server.port).get()
        return try await answer.futureResult.get()
    }

    private final class Asker: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let answer: EventLoopPromise<String>
        private var text = ""

        init(_ answer: EventLoopPromise<String>) { self.answer = answer }

        func channelActive(context: ChannelHandlerContext) {
            context.writeAndFlush(NIOAny(ByteBuffer(string: "stressed\n")), promise: nil)
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            text += String(buffer: unwrapInboundIn(data))
            if text.hasSuffix("\n") { context.close(promise: nil) }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            text += "\((error as? TLSError)?.kind as Any)"
            context.close(promise: nil)
        }

        func channelInactive(context: ChannelHandlerContext) { answer.succeed(text) }
    }

    @Test("s_server: it answers, with tickets and with a second hello; and is refused if it is old, or somebody else")
    func server() async throws {
        for options in [
            ["-alpn", "diskdelta/1"], ["-num_tickets", "20"], ["-groups", "P-521"],
            ["-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"],
            ["-Verify", "1", "-CAfile", certificates.authority.certificate, "-verify_return_error"],
            ["-record_padding", "512"],
        ] {
            #expect(try await ask(options) == "desserts\n", "\(options)")
        }
        #expect(try await ask(["-tls1_2"]).contains("version"))
        #expect(try await ask([], certificates.strangeServer).contains("unknownAuthority"))
    }
}

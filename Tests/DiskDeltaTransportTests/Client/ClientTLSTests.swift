import DiskDeltaProtocol
import DiskDeltaTLS
import DiskDeltaTransport
import Foundation
import NIOCore
import NIOPosix
import TestSupport
import Testing

/// What a client makes of a server's TLS: calls, or a sentence that a person can act on (P-81).
@Suite(
    "A client's TLS",
    .enabled(if: TestCertificates.canBeMade, "\(TestCertificates.absence)"),
    .timeLimit(.minutes(2))
)
struct ClientTLSTests {
    private let certificates: TestCertificates

    init() throws { certificates = try TestCertificates.shared() }

    private func withServer<Result>(
        _ certificate: IssuedCertificate,
        asksForCertificate: Bool = false,
        protocols: [String] = ["diskdelta/1"],
        _ body: (TestServer) async throws -> Result
    ) async throws -> Result {
        let context = try TLSContext.server(
            try certificate.identity(),
            clients: asksForCertificate ? .required(try certificates.authority.certificates()) : .none,
            applicationProtocols: protocols
        )
        var configuration = ServerConfiguration()
        configuration.tls = ServerTLS { ServerTLS.Protection(context: context, trust: 0) }
        return try await TestServer.with(configuration, body)
    }

    private func options(identity: IssuedCertificate? = nil, serverName: String? = nil) -> TLSOptions {
        options(identity: identity?.certificate, key: identity?.key, serverName: serverName)
    }

    private func options(identity certificate: String?, key: String?, serverName: String? = nil) -> TLSOptions {
        var identity: TLSOptions.Identity?
        if let certificate, let key { identity = .init(certificateFile: certificate, keyFile: key) }
        return TLSOptions(
            authorities: .file(certificates.authority.certificate),
            identity: identity,
            serverName: serverName
        )
    }

    private func channel(_ endpoint: Endpoint, _ options: TLSOptions?) throws(CallError) -> RPCChannel {
        var configuration = ChannelConfiguration()
        configuration.tls = options
        return try RPCChannel(to: endpoint, configuration: configuration, logger: .quiet)
    }

    /// What a call says that must fail for this reason.
    private func failure(
        _ endpoint: Endpoint,
        _ options: TLSOptions?,
        _ reason: Reason = .serverUnavailable
    ) async throws -> String {
        let channel = try channel(endpoint, options)
        let error = await error { _ = try await channel.run("send 1 1") }
        #expect(error?.reason == reason, "\(error?.description ?? "no error")")
        await channel.close()
        return error?.message ?? ""
    }

    private func named(_ host: String, _ endpoint: Endpoint) -> Endpoint {
        guard case .tcp(_, let port) = endpoint else { return endpoint }
        return .tcp(host: host, port: port)
    }

    // MARK: What works

    @Test("By address and by name, with and without a certificate")
    func calls() async throws {
        try await withServer(certificates.server) { test in
            for endpoint in [test.endpoint, named("localhost", test.endpoint)] {
                for options in [options(), options(identity: certificates.client), options(serverName: "localhost")] {
                    let channel = try channel(endpoint, options)
                    #expect(try await channel.run("send 20 100000") == 20)
                    await channel.close()
                }
            }
        }
        try await withServer(certificates.server, asksForCertificate: true) { test in
            let channel = try channel(test.endpoint, options(identity: certificates.client))
            #expect(try await channel.run("send 20 100000") == 20)
            await channel.close()
        }
    }

    @Test func anotherNameCanBeAskedFor() async throws {
        try await withServer(certificates.misnamedServer) { test in
            let channel = try channel(test.endpoint, options(serverName: "other.example.com"))
            #expect(try await channel.run("send 1 1") == 1)
            await channel.close()
        }
    }

    // MARK: Servers that are not trusted

    @Test func serversThatAreNotTrusted() async throws {
        try await withServer(certificates.strangeServer) { test in
            let message = try await failure(test.endpoint, options(), .unauthenticated)
            #expect(message.contains("is not from an authority in \(certificates.authority.certificate)"), "\(message)")
            #expect(message.contains(test.endpoint.description), "\(message)")
            #expect(test.counts.opened == 0)
        }
        try await withServer(certificates.server) { test in
            let message = try await failure(test.endpoint, TLSOptions(), .unauthenticated)
            #expect(message.contains("is not from an authority that this system trusts"), "\(message)")
        }
        try await withServer(certificates.expiredServer) { test in
            let message = try await failure(test.endpoint, options(), .unauthenticated)
            #expect(message.contains("has expired on 20"), "\(message)")
        }
        try await withServer(certificates.misnamedServer) { test in
            for endpoint in [test.endpoint, named("localhost", test.endpoint)] {
                let message = try await failure(endpoint, options(), .unauthenticated)
                #expect(message.contains("it does not name '"), "\(message)")
            }
        }
        try await withServer(certificates.server) { test in
            let message = try await failure(test.endpoint, options(serverName: "other.example.com"), .unauthenticated)
            #expect(message.contains("it does not name 'other.example.com'"), "\(message)")
            #expect(test.counts.opened == 0)
        }
        try await withServer(certificates.client) { test in
            let message = try await failure(test.endpoint, options(serverName: "backup.example.com"), .unauthenticated)
            #expect(message.contains("cannot be trusted: unsuitable certificate purpose"), "\(message)")
        }
    }

    @Test func serversThatSpeakSomethingElse() async throws {
        try await withServer(certificates.server, protocols: []) { test in
            let message = try await failure(test.endpoint, options())
            #expect(message.contains("speaks TLS and not DiskDelta"), "\(message)")
        }
        try await withServer(certificates.server, protocols: ["h2"]) { test in
            let message = try await failure(test.endpoint, options())
            #expect(message.contains("speaks TLS and not DiskDelta"), "\(message)")
        }
        let old = try OpenSSLPeer.server(certificates.server, ["-rev", "-tls1_2", "-alpn", "diskdelta/1"])
        let version = try await failure(.tcp(host: "127.0.0.1", port: old.port), options())
        #expect(version.contains("does not speak TLS 1.3"), "\(version)")
        // One in plaintext says nothing to what it takes for another protocol, and closes.
        try await TestServer.with { test in
            let message = try await failure(test.endpoint, options())
            #expect(message.contains("closed the connection during the TLS handshake"), "\(message)")
        }
        let (endpoint, listener) = try await RawPeer.serve([(Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8), [])])
        let message = try await failure(endpoint, options())
        #expect(message.contains("answers without TLS"), "\(message)")
        try await listener.close()
    }

    @Test("Nothing is heard of a server with which the protocol was not agreed upon, whatever it sends")
    func serversThatTalkOn() async throws {
        let context = try TLSContext.server(
            try certificates.server.identity(),
            clients: .none,
            applicationProtocols: ["h2"]
        )
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(TLSHandler(context))
                    channel.writeAndFlush(ByteBuffer(bytes: Wire.greeting()), promise: nil)
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(listener.localAddress?.port)
        let message = try await failure(.tcp(host: "127.0.0.1", port: port), options())
        #expect(message.contains("speaks TLS and not DiskDelta"), "\(message)")
        try await listener.close()
    }

    @Test func aClientWithoutTLSAtAServerWithIt() async throws {
        try await withServer(certificates.server) { test in _ = try await failure(test.endpoint, nil) }
    }

    @Test func clientsThatAreNotTrusted() async throws {
        try await withServer(certificates.server, asksForCertificate: true) { test in
            let none = try await failure(test.endpoint, options(), .unauthenticated)
            #expect(none.contains("asks for a certificate of the client, and none is configured"), "\(none)")
            for stranger in [certificates.strangeClient, certificates.expiredClient] {
                let message = try await failure(test.endpoint, options(identity: stranger), .unauthenticated)
                #expect(message.contains("does not accept the certificate in \(stranger.certificate)"), "\(message)")
            }
            #expect(test.counts.opened == 0)
        }
    }

    // MARK: Options that cannot be used

    private func refusal(_ options: TLSOptions, to endpoint: Endpoint = .tcp(host: "localhost", port: 1)) -> String {
        let error = #expect(throws: CallError.self) { _ = try channel(endpoint, options) }
        #expect(error?.reason == .invalidParameter)
        return error?.message ?? ""
    }

    @Test("A file that cannot be used is named, with what is wrong with it")
    func files() throws {
        let folder = try TemporaryFolder()
        let text = folder.file("text.pem")
        try Data("no certificate\n".utf8).write(to: URL(fileURLWithPath: text))
        let client = certificates.client
        for (file, words) in [
            (folder.file("missing.pem"), "No such file"), (folder.path, "Is a directory"), (text, "holds no "),
        ] {
            for options in [
                TLSOptions(authorities: .file(file)),
                options(identity: file, key: client.key),
                options(identity: client.certificate, key: file),
            ] {
                let message = refusal(options)
                #expect(message.hasPrefix(file) && message.contains(words), "\(message)")
            }
        }
        let mixed = refusal(
            options(identity: client.certificate, key: certificates.server.key)
        )
        #expect(mixed.contains("is not that of the first certificate in \(client.certificate)"), "\(mixed)")
        // A certificate is no key, nor a key a certificate.
        let exchanged = refusal(
            options(identity: client.key, key: client.certificate)
        )
        #expect(exchanged.hasPrefix(client.key), "\(exchanged)")
    }

    @Test func namesAndSockets() {
        for name in ["", "127.0.0.1", "::1", "fe80::1%eth0", "a\0b", ".example.com", "."] {
            #expect(refusal(options(serverName: name)).contains("host name"))
        }
        #expect(refusal(options(), to: .unix(path: "/a")).contains("Unix socket"))
    }
}

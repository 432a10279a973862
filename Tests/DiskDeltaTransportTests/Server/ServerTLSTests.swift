import DiskDeltaProtocol
import DiskDeltaTLS
import DiskDeltaTransport
import Glibc
import Synchronization
import TestSupport
import Testing

@Suite(
    "A server's TLS",
    .enabled(if: TestCertificates.canBeMade, "\(TestCertificates.absence)"),
    .timeLimit(.minutes(2))
)
struct ServerTLSTests {
    /// A server that wants certificates of the test authority, and what it found out about its callers.
    private func withServer<Result>(
        clients: ([TLSCertificate]) -> TLSContext.ClientCertificates = { .required($0) },
        _ body: (TestServer, Callers) async throws -> Result
    ) async throws -> Result {
        let certificates = try TestCertificates.shared()
        let context = try TLSContext.server(
            try certificates.server.identity(),
            clients: clients(try certificates.authority.certificates()),
            applicationProtocols: [Preface.applicationProtocol]
        )
        let callers = Callers()
        var configuration = ServerConfiguration()
        configuration.tls = ServerTLS { ServerTLS.Protection(context: context, trust: 7) }
        configuration.interceptors = [callers]
        return try await TestServer.with(configuration) { try await body($0, callers) }
    }

    /// Remembers who called.
    final class Callers: ServerInterceptor {
        let all = Mutex<[Caller]>([])

        func begin(path: String, method: MethodDescriptor?, context: inout CallContext) throws(CallError) {
            let caller = context.caller
            all.withLock { $0.append(caller) }
        }
    }

    @Test("A client with the right certificate is answered, and its names are known")
    func rightCertificate() async throws {
        try await withServer { test, callers in
            let configuration = try TLSPeer.configuration(try TestCertificates.shared().client)
            let received = try await TLSPeer.talk(to: test.endpoint, configuration, try TLSPeer.call("send 3 100"))
            #expect(try TLSPeer.status(received) == 0)
            let caller = try #require(callers.all.withLock(\.self).first)
            #expect(caller.isEncrypted)
            #expect(caller.isLocal)
            #expect(caller.peer.hasPrefix("127.0.0.1:"))
            let certificate = try #require(caller.certificate)
            #expect(
                certificate.alternativeNames == [
                    .init(.uri, Array(TestCertificates.clientURI.utf8)), .init(.dns, Array("backup.example.com".utf8)),
                ]
            )
            #expect(certificate.trust == 7)
            #expect(!certificate.serialNumber.isEmpty)
        }
    }

    @Test("Where certificates are optional, a client without one is let in, and one that cannot be verified is not")
    func optionalCertificate() async throws {
        let certificates = try TestCertificates.shared()
        try await withServer(clients: { .optional($0) }) { test, callers in
            let call = try TLSPeer.call("send 1 1")
            let without = try await TLSPeer.talk(to: test.endpoint, try TLSPeer.configuration(), call)
            #expect(try TLSPeer.status(without) == 0)
            #expect(callers.all.withLock(\.self).map(\.certificate) == [nil])
            let strange = try TLSPeer.configuration(certificates.strangeClient)
            #expect(try await TLSPeer.talk(to: test.endpoint, strange, call) == [])
        }
    }

    @Test("Nothing is answered to a client without certificate, or with one that proves nothing")
    func wrongCertificates() async throws {
        let certificates = try TestCertificates.shared()
        try await withServer { test, callers in
            let call = try TLSPeer.call("send 1 1")
            let wrong = [nil, certificates.strangeClient, certificates.expiredClient, certificates.server]
            for identity in wrong {
                let configuration = try TLSPeer.configuration(identity)
                #expect(try await TLSPeer.talk(to: test.endpoint, configuration, call) == [], "\(identity as Any)")
            }
            #expect(callers.all.withLock(\.self) == [])
            #expect(test.counts.opened == 0)
        }
    }

    @Test("Nothing is answered to a client that does not offer the protocol, or has TLS 1.2 at most (P-81)")
    func wrongProtocols() async throws {
        let client = try TestCertificates.shared().client
        try await withServer { test, _ in
            let call = try TLSPeer.call("send 1 1")
            for protocols in [[], ["h2"], ["diskdelta/2", "http/1.1"]] {
                let configuration = try TLSPeer.configuration(client, protocols: protocols)
                #expect(try await TLSPeer.talk(to: test.endpoint, configuration, call) == [], "\(protocols)")
            }
            let old = try OpenSSLPeer.client(
                to: try #require(test.endpoint.port),
                ["-tls1_2", "-alpn", "diskdelta/1"],
                call
            )
            #expect(old.error.contains("alert protocol version"), "\(old)")
            let several = try TLSPeer.configuration(client, protocols: ["h2", "diskdelta/1"])
            #expect(try TLSPeer.status(try await TLSPeer.talk(to: test.endpoint, several, call)) == 0)
            #expect(test.counts.opened == 1)
        }
    }

    @Test("A client that speaks plaintext, or begins no handshake, is closed")
    func noHandshake() async throws {
        try await withServer { test, _ in
            // What arrives is TLS's own alert, if anything: nothing of the protocol.
            let received = try await RawPeer.talk(to: test.endpoint, try TLSPeer.call("send 1 1"))
            #expect(received.first.map { $0 == 21 } ?? true)
            #expect(test.counts.opened == 0)
        }
        var configuration = ServerConfiguration()
        configuration.times.handshake = .milliseconds(50)
        let context = try serverWithoutClients()
        configuration.tls = ServerTLS { ServerTLS.Protection(context: context, trust: 0) }
        try await TestServer.with(configuration) { test in
            let received = try await RawPeer.talk(to: test.endpoint, [])
            #expect(received == [])
        }
    }

    @Test("A Unix socket stays plain, and its peer's user is known")
    func unixSocket() async throws {
        let folder = try TemporaryFolder()
        let callers = Callers()
        var configuration = ServerConfiguration()
        let context = try serverWithoutClients()
        configuration.tls = ServerTLS { ServerTLS.Protection(context: context, trust: 0) }
        configuration.interceptors = [callers]
        try await TestServer.with(configuration, on: .unix(path: folder.file("s"))) { test in
            let connection = try await test.connect()
            #expect(try await connection.run("send 1 1") == 1)
        }
        let caller = try #require(callers.all.withLock(\.self).first)
        #expect(caller.userID == geteuid())
        #expect(caller.isLocal)
        #expect(!caller.isEncrypted)
        #expect(caller.peer == "unix:pid=\(getpid()),uid=\(geteuid())")
    }

    private func serverWithoutClients() throws -> TLSContext {
        try TLSContext.server(
            try TestCertificates.shared().server.identity(),
            clients: .none,
            applicationProtocols: []
        )
    }
}

extension Endpoint {
    fileprivate var port: Int? {
        if case .tcp(_, let port) = self { port } else { nil }
    }
}

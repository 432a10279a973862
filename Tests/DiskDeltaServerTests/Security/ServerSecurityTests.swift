import DiskDeltaProtocol
import DiskDeltaServer
import DiskDeltaTransport
import Foundation
import TestSupport
import Testing

@Suite(
    "A server that knows who asks",
    .enabled(if: TestCertificates.canBeMade, "\(TestCertificates.absence)"),
    .timeLimit(.minutes(2))
)
struct ServerSecurityTests {
    /// `foo` and `bar`, as sha256sum hashes them.
    private static let foo = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
    private static let bar = "fcde2b2edba56bf408601fb721fe9b5c338d10ee429ea04fae5511b68fbf8fb9"

    private let certificates: TestCertificates

    init() throws {
        certificates = try TestCertificates.shared()
    }

    private func tls(_ settings: inout Settings) {
        settings.tlsCertificate = certificates.server.certificate
        settings.tlsKey = certificates.server.key
    }

    /// Why a client cannot connect.
    private func refusal(_ server: GuardedServer, _ identity: IssuedCertificate?) async -> Reason? {
        do {
            let connection = try await server.connect(identity)
            // In TLS 1.3 a client has ended its handshake before the server has judged its certificate.
            let told = await connection.identity()
            return told == Reason.unauthenticated.name ? .unauthenticated : nil
        } catch {
            return (error as? CallError)?.reason
        }
    }

    @Test("Mutual TLS: the right certificate is let in under its name, and no other")
    func mutualTLS() async throws {
        try await GuardedServer.with { settings, _ in
            tls(&settings)
            settings.clientCA = certificates.authority.certificate
        } _: { server in
            let client = try await server.connect(certificates.client)
            #expect(await client.identity() == TestCertificates.clientURI)
            #expect(await client.ask(about: "a/child.avhdx") == "OK")
            for identity in [nil, certificates.strangeClient, certificates.expiredClient] {
                #expect(await refusal(server, identity) == .unauthenticated, "\(identity as Any)")
            }
            // Verified, and yet nobody: there is no alternative name, and the common name does not count.
            #expect(await (try server.connect(certificates.namelessClient)).identity() == "UNAUTHENTICATED")
            // Nor is there another way in.
            #expect(await (try server.connectLocally()).identity() == "UNAUTHENTICATED")
            let health = HealthClient(try await server.connect(certificates.namelessClient))
            let error = await #expect(throws: CallError.self) { try await health.check(HealthCheckRequest()) }
            #expect(error?.reason == .unauthenticated)
        }
    }

    @Test("Tokens: right, wrong, expired, none, and beside a certificate")
    func tokens() async throws {
        let table = "auditor sha256:\(Self.foo)\nformer sha256:\(Self.bar) 2026-01-01T00:00:00Z\n"
        try await GuardedServer.with(files: ["tokens": table]) { settings, folder in
            tls(&settings)
            settings.tokenFile = folder.file("tokens")
            settings.clientCA = certificates.authority.certificate
        } _: { server in
            let anonymous = try await server.connect()
            #expect(await anonymous.identity() == "UNAUTHENTICATED")
            #expect(await (try anonymous.with(token: "foo")).identity() == "auditor")
            #expect(await (try anonymous.with(token: "bar")).identity() == "UNAUTHENTICATED")
            #expect(await (try anonymous.with(token: "baz")).identity() == "UNAUTHENTICATED")
            #expect(await (try anonymous.with(token: "foo")).ask(about: "b/base.vhdx") == "OK")

            let named = try await server.connect(certificates.client)
            #expect(await named.identity() == TestCertificates.clientURI)
            #expect(await (try named.with(token: "foo")).identity() == "auditor")
            #expect(await (try named.with(token: "baz")).identity() == "UNAUTHENTICATED")
            #expect(await refusal(server, certificates.strangeClient) == .unauthenticated)

            let local = try await server.connectLocally()
            #expect(await local.identity() == "UNAUTHENTICATED")
            #expect(await (try local.with(token: "foo")).identity() == "auditor")

            for line in server.audit.all + server.log.all {
                for secret in ["foo", "bar", "baz", Self.foo, Self.bar] {
                    #expect(!"\(line)".contains(secret), "\(line)")
                }
            }
        }
    }

    @Test("The policy holds for each root, for every layer of a chain, and for the users of a Unix socket")
    func policy() async throws {
        let user = geteuid()
        let policy = """
            allow = \(TestCertificates.clientURI) query a
            allow = uid:\(user) query *
            allow = reader read-data a
            """
        let tokens = "reader sha256:\(Self.foo)\nnobody sha256:\(Self.bar)\n"
        try await GuardedServer.with(files: ["policy": policy, "tokens": tokens]) { settings, folder in
            tls(&settings)
            settings.clientCA = certificates.authority.certificate
            settings.policyFile = folder.file("policy")
            settings.tokenFile = folder.file("tokens")
        } _: { server in
            let client = try await server.connect(certificates.client)
            #expect(await client.ask(about: "a/child.avhdx") == "OK")
            #expect(await client.ask(about: "a/across.avhdx") == "PATH_NOT_ALLOWED")
            for name in ["b/base.vhdx", "b/nothing.vhdx", "c/base.vhdx"] {
                #expect(await client.ask(about: name) == "FILE_NOT_FOUND")
            }
            for name in ["b/base.vhdx", "b/nothing.vhdx", "c/base.vhdx"] {
                #expect(await client.ask(about: server.folder.file(name)) == "PATH_NOT_ALLOWED")
            }
            let local = try await server.connectLocally()
            #expect(await local.identity() == "uid:\(user)")
            #expect(await local.ask(about: "a/across.avhdx") == "OK")

            // Another permission is none to query.
            let reader = try local.with(token: "foo")
            #expect(await reader.identity() == "reader")
            #expect(await reader.ask(about: "a/base.vhdx") == "FILE_NOT_FOUND")
            // Who has none at all is not let in.
            let nobody = try local.with(token: "bar")
            #expect(await nobody.identity() == "ACCESS_DENIED")
            #expect(await nobody.ask(about: "a/base.vhdx") == "ACCESS_DENIED")
        }
    }

    @Test("A line is written for each call, with what it was about and what came of it")
    func audit() async throws {
        let tokens = "auditor sha256:\(Self.foo)\n"
        try await GuardedServer.with(files: ["tokens": tokens]) { settings, folder in
            tls(&settings)
            settings.tokenFile = folder.file("tokens")
        } _: { server in
            let connection = try await server.connect()
            let client = try connection.with(token: "foo")
            #expect(await client.ask(about: "a/base.vhdx") == "OK")
            let forged = "a/x\n2026-01-01T00:00:00Z info audit identity=admin"
            #expect(await client.ask(about: forged) == "FILE_NOT_FOUND")
            #expect(await connection.ask(about: "a/base.vhdx") == "UNAUTHENTICATED")
            let lines = try await server.audited(3)
            let first = lines[0].fields
            #expect(lines[0].message == "audit")
            #expect(first["identity"] == "auditor")
            #expect(first["peer"]?.hasPrefix("127.0.0.1:") == true)
            #expect(first["method"] == "diskdelta.v1.ImageManagement/GetVirtualHardDiskSettingData")
            #expect(first["disk"] == "a/base.vhdx")
            #expect(first["status"] == "OK")
            #expect(first["reason"] == "NONE")
            #expect(first["messages"] == "1")
            #expect(first["ms"].flatMap { Int($0) } != nil)
            #expect(lines[1].fields["disk"] == "a/x\\u{a}2026-01-01T00:00:00Z info audit identity=admin")
            #expect(lines[1].fields["reason"] == "FILE_NOT_FOUND")
            #expect(lines[1].fields["status"] == "NOT_FOUND")
            #expect(lines[2].fields["identity"] == "")
            #expect(lines[2].fields["disk"] == "")
            #expect(lines[2].fields["reason"] == "UNAUTHENTICATED")
            #expect(!server.audit.text.contains("foo"))
        }
    }

    @Test("A peer that proved nothing does not learn which methods there are")
    func nothingIsTold() async throws {
        try await GuardedServer.with(files: ["tokens": ""]) { settings, folder in
            tls(&settings)
            settings.tokenFile = folder.file("tokens")
        } _: { server in
            let connection = try await server.connect()
            for service in ["diskdelta.v1.Health", "diskdelta.v1.Nothing"] {
                let method = MethodDescriptor(service: service, method: "Check", isServerStreaming: false)
                let error = await #expect(throws: CallError.self) {
                    let _: HealthCheckResponse = try await connection.unary(
                        method,
                        request: HealthCheckRequest(),
                        options: CallOptions()
                    )
                }
                #expect(error?.reason == .unauthenticated)
            }
        }
    }
}

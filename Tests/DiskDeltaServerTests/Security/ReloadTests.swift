import DiskDeltaProtocol
import DiskDeltaServer
import DiskDeltaTransport
import Foundation
import Logging
import TestSupport
import Testing

@Suite(
    "Files that change while the server runs",
    .enabled(if: TestCertificates.canBeMade, "\(TestCertificates.absence)"),
    .timeLimit(.minutes(2))
)
struct ReloadTests {
    private static let foo = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
    private static let bar = "fcde2b2edba56bf408601fb721fe9b5c338d10ee429ea04fae5511b68fbf8fb9"

    private let certificates: TestCertificates

    init() throws {
        certificates = try TestCertificates.shared()
    }

    private func text(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }

    /// Waits until the server says what it should.
    private func until(_ expected: String, _ answer: () async -> String) async throws {
        while await answer() != expected { try await Task.sleep(for: .milliseconds(20)) }
    }

    @Test("Tokens come and go, on connections that are open too; a broken file changes nothing")
    func tokens() async throws {
        try await GuardedServer.with(files: ["tokens": "first sha256:\(Self.foo)\n"]) { settings, folder in
            settings.tokenFile = folder.file("tokens")
        } _: { server in
            let connection = try await RPCConnection.connect(to: try server.tcp)
            let first = try connection.with(token: "foo")
            let second = try connection.with(token: "bar")
            #expect(await first.identity() == "first")
            #expect(await second.identity() == "UNAUTHENTICATED")

            // The server notices by itself.
            try server.write("second sha256:\(Self.bar)\n", to: "tokens")
            try await until("second") { await second.identity() }
            #expect(await first.identity() == "UNAUTHENTICATED")

            try server.write("third sha256:\(Self.foo)\nbroken\n", to: "tokens")
            server.server.reload()
            #expect(await second.identity() == "second")
            #expect(await first.identity() == "UNAUTHENTICATED")
            let error = try #require(server.log.all.last { $0.level == .error })
            #expect(error.message.contains("tokens, line 2"))

            try FileManager.default.removeItem(atPath: server.folder.file("tokens"))
            server.server.reload()
            #expect(await second.identity() == "second")

            try server.write("third sha256:\(Self.foo)\n", to: "tokens")
            server.server.reload()
            #expect(await first.identity() == "third")
            #expect(!server.log.text.contains(Self.foo))
        }
    }

    @Test("The policy changes what the next call may do; a call under way goes on")
    func policy() async throws {
        let user = geteuid()
        try await GuardedServer.with(files: ["policy": "allow = uid:\(user) query a\n"]) { settings, folder in
            settings.policyFile = folder.file("policy")
        } _: { server in
            let client = try await server.connectLocally()
            #expect(await client.ask(about: "a/base.vhdx") == "OK")
            #expect(await client.ask(about: "b/base.vhdx") == "FILE_NOT_FOUND")
            let request = GetVirtualDiskAllocationRequest(path: "a/base.vhdx")
            let running = try await ImageManagementClient(client).getVirtualDiskAllocation(request)
            _ = try await running.next()

            try server.write("allow = uid:\(user) query b\n", to: "policy")
            server.server.reload()
            #expect(await client.ask(about: "a/base.vhdx") == "FILE_NOT_FOUND")
            #expect(await client.ask(about: "b/base.vhdx") == "OK")
            while try await running.next() != nil {}

            try server.write("allow = somebody\n", to: "policy")
            server.server.reload()
            #expect(await client.ask(about: "b/base.vhdx") == "OK")

            try server.write("allow = somebody query *\n", to: "policy")
            server.server.reload()
            #expect(await client.ask(about: "b/base.vhdx") == "UNAUTHENTICATED")
        }
    }

    @Test("The server's certificate and key; half of a change is no change")
    func certificate() async throws {
        let files = [
            "server.pem": try text(certificates.server.certificate), "server.key": try text(certificates.server.key),
            "tokens": "x sha256:\(Self.foo)",
        ]
        try await GuardedServer.with(files: files) { settings, folder in
            settings.tlsCertificate = folder.file("server.pem")
            settings.tlsKey = folder.file("server.key")
            settings.tokenFile = folder.file("tokens")
        } _: { server in
            let old = try await server.connect()
            #expect(await (try old.with(token: "foo")).identity() == "x")

            try server.write(try text(certificates.strangeServer.certificate), to: "server.pem")
            server.server.reload()
            #expect(server.log.text.contains("do not belong together"))
            #expect(await (try server.connect().with(token: "foo")).identity() == "x")

            try server.write(try text(certificates.strangeServer.key), to: "server.key")
            server.server.reload()
            // The new certificate is of an authority that clients do not trust: so it is known to be in use.
            await #expect(throws: CallError.self) { try await server.connect() }
            #expect(await (try old.with(token: "foo")).identity() == "x")
        }
    }

    @Test("Another authority proves nothing on old connections; an authority more changes nothing for them")
    func clientCA() async throws {
        let ours = try text(certificates.authority.certificate)
        let theirs = try text(certificates.otherAuthority.certificate)
        try await GuardedServer.with(files: ["ca.pem": ours]) { settings, folder in
            settings.tlsCertificate = certificates.server.certificate
            settings.tlsKey = certificates.server.key
            settings.clientCA = folder.file("ca.pem")
        } _: { server in
            let old = try await server.connect(certificates.client)
            #expect(await old.identity() == TestCertificates.clientURI)

            try server.write(ours + theirs, to: "ca.pem")
            server.server.reload()
            #expect(await old.identity() == TestCertificates.clientURI)
            let strange = try await server.connect(certificates.strangeClient)
            #expect(await strange.identity() == TestCertificates.clientURI)

            try server.write("nothing", to: "ca.pem")
            server.server.reload()
            #expect(await old.identity() == TestCertificates.clientURI)

            try server.write(theirs, to: "ca.pem")
            server.server.reload()
            // Until the old connection has been ended in order, nothing is proved on it.
            let answer = await old.identity()
            #expect(answer == "UNAUTHENTICATED" || answer == "SERVER_UNAVAILABLE")
            try await until("SERVER_UNAVAILABLE") { await old.identity() }
            #expect(await (try server.connect(certificates.strangeClient)).identity() == TestCertificates.clientURI)
        }
    }
}

import DiskDeltaServer
import Foundation
import Logging
import TestSupport
import Testing

@Suite(
    "What a server's start refuses",
    .enabled(if: TestCertificates.canBeMade, "\(TestCertificates.absence)"),
    .timeLimit(.minutes(1))
)
struct StartTests {
    private let folder: TemporaryFolder
    private let certificates: TestCertificates

    init() throws {
        folder = try TemporaryFolder()
        certificates = try TestCertificates.shared()
    }

    private func file(_ text: String) throws -> String {
        let path = folder.file(UUID().uuidString)
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    /// The line that stops the start; nil where it starts.
    private func refusal(_ log: RecordedLog = RecordedLog(), _ change: (inout Settings) throws -> Void) async throws
        -> String?
    {
        var settings = Settings()
        settings.listen = ["127.0.0.1:0"]
        try change(&settings)
        do {
            let server = try await Server.start(settings, logger: log.logger("test"))
            await server.stop()
            return nil
        } catch let error as SettingsError {
            #expect(!error.message.contains("\n"))
            return error.message
        }
    }

    private func tls(_ settings: inout Settings) {
        settings.tlsCertificate = certificates.server.certificate
        settings.tlsKey = certificates.server.key
    }

    @Test("An address that others can reach needs TLS, and a way to know who calls")
    func reachable() async throws {
        let tokens = try file("")
        for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:1", "localhost.example.com:1"] {
            let neither = try #require(try await refusal { $0.listen = [address] })
            #expect(
                neither.contains("--tls-certificate and --tls-key") && neither.contains("--client-ca or --token-file")
            )
            let plain = try #require(
                try await refusal { settings in
                    settings.listen = ["127.0.0.1:0", address]
                    settings.tokenFile = tokens
                }
            )
            #expect(plain.contains("--tls-certificate") && !plain.contains("--client-ca"))
            let anonymous = try #require(
                try await refusal { settings in
                    settings.listen = [address]
                    settings.policyFile = tokens
                    tls(&settings)
                }
            )
            #expect(anonymous.contains("--client-ca") && !anonymous.contains("--tls-certificate"))
        }
        #expect(
            try await refusal { settings in
                settings.listen = ["0.0.0.0:0"]
                settings.tokenFile = tokens
                tls(&settings)
            } == nil
        )
        #expect(
            try await refusal { settings in
                settings.listen = ["0.0.0.0:0"]
                settings.isInsecure = true
            } == nil
        )
    }

    @Test("Settings that belong together, and files that are not good")
    func files() async throws {
        let certificate = certificates.server.certificate
        let key = certificates.server.key
        func message(_ change: (inout Settings) throws -> Void) async throws -> String {
            try await refusal { try change(&$0) } ?? "started"
        }
        #expect(try await message { $0.tlsCertificate = certificate } == "tls-certificate is given and tls-key is not")
        #expect(try await message { $0.tlsKey = key } == "tls-key is given and tls-certificate is not")
        #expect(try await message { $0.clientCA = certificate }.contains("client-ca needs TLS"))
        #expect(
            try await message { settings in
                settings.tlsCertificate = folder.file("none")
                settings.tlsKey = key
            }.contains("none cannot be opened: No such file")
        )
        #expect(
            try await message { settings in
                settings.tlsCertificate = key
                settings.tlsKey = key
            }.contains("has no certificate in PEM")
        )
        #expect(
            try await message { settings in
                settings.tlsCertificate = certificate
                settings.tlsKey = certificate
            }.contains("has no private key in PEM")
        )
        #expect(
            try await message { settings in
                settings.tlsCertificate = certificate
                settings.tlsKey = certificates.client.key
            }.contains("do not belong together")
        )
        #expect(
            try await message { settings in
                tls(&settings)
                settings.clientCA = try file("")
            }.contains("has no certificate in PEM")
        )
        #expect(try await message { $0.tokenFile = try file("x") }.contains("line 1: a token has the form"))
        #expect(try await message { $0.policyFile = try file("x") }.contains("line 1: a line has the form"))
        #expect(try await message { $0.tokenFile = folder.path }.contains(folder.path))
        #expect(
            try await message { $0.policyFile = try file(String(repeating: "#", count: 1 << 21)) }.contains(
                "longer than"
            )
        )
    }

    @Test("A key that every user can read is warned of, and so is a policy about roots that are not there")
    func warnings() async throws {
        let key = try file(try String(contentsOfFile: certificates.server.key, encoding: .utf8))
        let policy = try file("allow = x query nowhere")
        let unprotected = RecordedLog()
        #expect(
            try await refusal(unprotected) { settings in
                settings.listen = ["0.0.0.0:0"]
                settings.isInsecure = true
            } == nil
        )
        #expect(unprotected.text.contains("it is not protected"))
        for (mode, isWarned) in [(0o600, false), (0o640, false), (0o644, true), (0o602, true)] {
            try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: key)
            let log = RecordedLog()
            #expect(
                try await refusal(log) { settings in
                    settings.tlsCertificate = certificates.server.certificate
                    settings.tlsKey = key
                    settings.policyFile = policy
                } == nil
            )
            #expect(log.text.contains("can be used by every user") == isWarned)
            #expect(log.text.contains("the root nowhere"))
        }
    }
}

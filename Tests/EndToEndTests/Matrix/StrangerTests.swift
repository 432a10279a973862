import Foundation
import TestSupport
import Testing

/// Clients that a server does not let in, and servers that a client does not trust: through the programs, with the exit code
/// that a script sees.
@Suite(
    "Strangers",
    .enabled(if: Programs.areBuilt && Programs.listChangesTLS.isBuilt && TestCertificates.canBeMade, Programs.absence),
    .timeLimit(.minutes(2))
)
struct StrangerTests {
    private let folder: TemporaryFolder
    private let protection: Protection
    private let certificates: TestCertificates

    init() throws {
        folder = try TemporaryFolder()
        _ = try LargeAnswers.writeShort(in: folder)
        protection = try Protection(in: folder)
        certificates = try TestCertificates.shared()
        try "another-token\n".write(toFile: folder.file("wrong"), atomically: true, encoding: .utf8)
    }

    /// Asks with both programs, which must be turned away: exit 4, and one line that says why.
    private func expectTurnedAway(_ carrier: Carrier, _ flags: [String], _ words: String) throws {
        let server = try RunningServer.start(root: folder, arguments: protection.serverArguments(carrier))
        for client in AskingClient.allCases {
            let arguments = client.arguments(
                LargeAnswers.short,
                at: server.tcp,
                over: carrier,
                protection: flags,
                deadline: nil
            )
            let outcome = try client.program(carrier).run(arguments, in: folder)
            #expect(outcome.status == 4, "\(client): \(outcome)")
            #expect(client.rangeLines(of: outcome).isEmpty)
            #expect(outcome.error.contains(words), "\(client): \(outcome.error)")
            #expect(!(outcome.error + outcome.output).contains("another-token"))
        }
        #expect(try server.stop().status == 0)
    }

    private var authority: [String] { ["--ca", certificates.authority.certificate] }

    private func identity(_ issued: IssuedCertificate) -> [String] {
        ["--certificate", issued.certificate, "--key", issued.key]
    }

    @Test func aServerOfAnotherAuthority() throws {
        try expectTurnedAway(
            .tls,
            ["--ca", certificates.otherAuthority.certificate],
            certificates.otherAuthority.certificate
        )
    }

    @Test func aClientWithoutACertificate() throws {
        try expectTurnedAway(.mutualTLS, authority, "certificate")
    }

    @Test func certificatesThatProveNothing() throws {
        let stranger = certificates.strangeClient
        try expectTurnedAway(.mutualTLS, authority + identity(stranger), stranger.certificate)
        try expectTurnedAway(.mutualTLS, authority + identity(certificates.namelessClient), "alternative name")
    }

    @Test func tokensThatProveNothing() throws {
        try expectTurnedAway(.token, authority + ["--token-file", folder.file("wrong")], "The token is not known here")
        try expectTurnedAway(.token, authority, "by a token")
    }
}

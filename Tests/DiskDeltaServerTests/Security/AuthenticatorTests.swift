import DiskDeltaProtocol
import DiskDeltaService
import Foundation
import Testing

@testable import DiskDeltaServer

@Suite("Who a caller is")
struct AuthenticatorTests {
    private let now = Date(timeIntervalSince1970: 1_800_000_000)

    /// Two tokens, `foo` that is valid and `bar` that has expired.
    private func tokens() throws -> TokenTable {
        try TokenTable(
            """
            auditor sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
            former  sha256:fcde2b2edba56bf408601fb721fe9b5c338d10ee429ea04fae5511b68fbf8fb9 2026-01-01T00:00:00Z
            """,
            named: "tokens"
        )
    }

    private func certificate(expiry: Int64 = 1_900_000_000, trust: UInt64 = 3) -> PeerCertificate {
        PeerCertificate(
            alternativeNames: [.init(.dns, Array("backup.example.com".utf8))],
            serialNumber: "01",
            expiry: expiry,
            trust: trust
        )
    }

    private func tls(_ certificate: PeerCertificate?) -> Caller {
        Caller(peer: "192.0.2.1:1", isLocal: false, isEncrypted: true, certificate: certificate)
    }

    private let unix = Caller(peer: "unix", isLocal: true, userID: 1_000)

    private func authorization(_ values: String...) -> Metadata {
        var metadata = Metadata()
        for value in values { _ = metadata.append("authorization", Array(value.utf8)) }
        return metadata
    }

    /// The identity, or the sentence of the refusal.
    private func ask(_ authenticator: Authenticator, _ caller: Caller, _ metadata: Metadata = Metadata()) -> String {
        do throws(CallError) {
            return try authenticator.identity(of: caller, metadata, at: now)
        } catch {
            #expect(error.reason == .unauthenticated)
            #expect(error.status == .unauthenticated)
            return "refused: \(error.message)"
        }
    }

    @Test("Where nothing can be proved, nobody has to prove anything")
    func notRequired() {
        let open = Authenticator()
        #expect(!open.isRequired)
        #expect(ask(open, unix) == "")
        #expect(ask(open, tls(nil), authorization("whatever")) == "")
    }

    @Test("A certificate counts while its issuer is trusted and it has not expired")
    func certificates() {
        let authenticator = Authenticator(trust: 3)
        #expect(ask(authenticator, tls(certificate())) == "backup.example.com")
        #expect(ask(authenticator, tls(nil)).hasPrefix("refused: Who calls must be proved: by a certificate"))
        #expect(ask(authenticator, tls(certificate(trust: 2))).contains("client CA has changed"))
        #expect(ask(authenticator, tls(certificate(expiry: 1_799_999_999))).contains("expired"))
        #expect(ask(authenticator, tls(certificate(expiry: 1_800_000_000))) == "backup.example.com")
        var nameless = certificate()
        nameless.alternativeNames = []
        #expect(ask(authenticator, tls(nameless)).contains("no alternative name"))
        // Without a client CA no certificate was verified.
        let others = Authenticator(tokens: try? tokens())
        #expect(ask(others, tls(certificate())).hasPrefix("refused"))
    }

    @Test("A token counts before the certificate, and one that is not accepted is refused in any case")
    func tokenRules() throws {
        let both = Authenticator(trust: 3, tokens: try tokens())
        #expect(ask(both, tls(nil), authorization("Bearer foo")) == "auditor")
        #expect(ask(both, tls(certificate()), authorization("bEARER foo")) == "auditor")
        #expect(ask(both, tls(certificate())) == "backup.example.com")
        #expect(ask(both, unix, authorization("Bearer foo")) == "auditor")
        #expect(ask(both, tls(certificate()), authorization("Bearer bar")) == "refused: The token has expired")
        for wrong in ["Bearer fo", "Bearer fooo", "Bearer bearer", "Bearer ="] {
            #expect(ask(both, tls(certificate()), authorization(wrong)) == "refused: The token is not known here")
        }
        for malformed in [
            "", "foo", "Bearer", "Bearer ", "Bearer  foo", "Bearer foo ", "Basic foo", "Bearer f\0o", "Bearer\tfoo",
        ] {
            let answer = ask(both, tls(certificate()), authorization(malformed))
            #expect(answer == "refused: The authorization is not one bearer token", "\(malformed)")
        }
        #expect(ask(both, tls(nil), authorization("Bearer foo", "Bearer foo")).contains("not one bearer token"))
        #expect(
            ask(Authenticator(trust: 3), tls(certificate()), authorization("Bearer foo")).contains("takes no tokens")
        )
    }

    @Test("The user of a Unix socket's peer counts where the policy names him, and not by a wildcard")
    func users() throws {
        let named = try Policy("allow = uid:1000 query a", named: "p")
        #expect(ask(Authenticator(policy: named), unix) == "uid:1000")
        #expect(ask(Authenticator(trust: 3, tokens: try tokens(), policy: named), unix) == "uid:1000")
        var other = unix
        other.userID = 1_001
        #expect(ask(Authenticator(policy: named), other).contains("by a user that the policy names"))
        let wildcard = try Policy("allow = * query a", named: "p")
        #expect(ask(Authenticator(policy: wildcard), unix).hasPrefix("refused"))
        #expect(ask(Authenticator(tokens: try tokens()), unix).hasPrefix("refused"))
        // Over TCP nobody has a user.
        let loopback = Caller(peer: "127.0.0.1:1", isLocal: true)
        #expect(ask(Authenticator(policy: named), loopback).contains("nothing can prove it"))
    }
}

import DiskDeltaProtocol
import Testing

@testable import DiskDeltaServer

@Suite("Who somebody is by his certificate")
struct CertificateIdentityTests {
    private func identity(_ names: PeerCertificate.Name...) -> String? {
        CertificateIdentity.of(
            PeerCertificate(alternativeNames: names, serialNumber: "01", expiry: 0, trust: 0)
        )
    }

    private func uri(_ text: String) -> PeerCertificate.Name { .init(.uri, Array(text.utf8)) }
    private func dns(_ text: String) -> PeerCertificate.Name { .init(.dns, Array(text.utf8)) }
    private func email(_ text: String) -> PeerCertificate.Name { .init(.email, Array(text.utf8)) }

    @Test("URI before DNS name before e-mail address before IP address, and the first of a kind")
    func precedence() {
        let address = PeerCertificate.Name(.ipAddress, [10, 0, 0, 1])
        #expect(identity(address, email("a@b.c"), dns("h.example"), uri("spiffe://x/1")) == "spiffe://x/1")
        #expect(identity(address, email("a@b.c"), dns("H.Example"), dns("other")) == "h.example")
        #expect(identity(address, email("A@b.c")) == "A@b.c")
        #expect(identity(address) == "10.0.0.1")
        #expect(identity(.init(.ipAddress, [UInt8](repeating: 0, count: 15) + [1])) == "::1")
        #expect(identity() == nil)
    }

    @Test("What an issuer should not have written is nobody, whatever else the certificate says")
    func hostile() {
        let good = dns("h.example")
        for name in [
            "spiffe://x/a\0b", "spiffe://x/a b", "spiffe://x/a\nb", "spiffe://x/é", "", "nocolon", ":x", "uid:0",
            "UID:0",
            "spiffe://" + String(repeating: "x", count: 250),
        ] {
            #expect(identity(uri(name), good) == nil, "\(name)")
        }
        for name in ["*", "*.example.com", "a b", "a\0.example", "uid:0", "ä.example", ""] {
            #expect(identity(dns(name), email("a@b.c")) == nil, "\(name)")
        }
        #expect(identity(email("nobody")) == nil)
        #expect(identity(email("*")) == nil)
        #expect(identity(.init(.ipAddress, [1, 2, 3])) == nil)
        #expect(identity(.init(.ipAddress, [])) == nil)
    }

    @Test("The longest name")
    func longest() {
        let longest = "a:" + String(repeating: "x", count: CertificateIdentity.maximumByteCount - 2)
        #expect(identity(uri(longest)) == longest)
        #expect(identity(uri(longest + "x")) == nil)
    }
}

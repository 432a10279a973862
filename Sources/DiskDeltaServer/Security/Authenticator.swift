internal import DiskDeltaProtocol
internal import DiskDeltaService
internal import Foundation

/// Decides who a caller is, by what is in force now.
///
/// Where nothing is configured by which somebody could prove who he is, nobody has to, and the identity is empty.
struct Authenticator: Sendable {
    /// Whether certificates prove who somebody is, and by which state of trust; nil where there is no client CA.
    var trust: UInt64?
    /// Nil where there is no token file.
    var tokens: TokenTable?
    /// Nil where there is no policy file.
    var policy: Policy?

    /// Whether every caller must prove who he is.
    var isRequired: Bool { trust != nil || tokens != nil || policy != nil }

    /// Who the caller is: by his token; else by his certificate; else, on a Unix socket, by his user, where the policy names
    /// it.
    ///
    /// A token that is not accepted is refused whatever else would prove something.
    ///
    /// - Throws: UNAUTHENTICATED. The text never repeats what the caller sent.
    func identity(of caller: Caller, _ metadata: Metadata, at now: Date) throws(CallError) -> String {
        guard isRequired else { return "" }
        let authorizations = metadata.entries.filter { $0.key == "authorization" }
        if let authorization = authorizations.first {
            guard authorizations.count == 1, let token = Self.token(in: authorization.value) else {
                throw CallError(.unauthenticated, "The authorization is not one bearer token")
            }
            guard let tokens else {
                throw CallError(.unauthenticated, "This server takes no tokens")
            }
            switch tokens.find(token, at: now) {
            case .known(let name): return name
            case .expired: throw CallError(.unauthenticated, "The token has expired")
            case .unknown: throw CallError(.unauthenticated, "The token is not known here")
            }
        }
        if let certificate = caller.certificate, let trust {
            return try identity(of: certificate, trust: trust, at: now)
        }
        if let userID = caller.userID {
            let identity = "uid:\(userID)"
            if policy?.names(identity) ?? false { return identity }
        }
        throw CallError(.unauthenticated, "Who calls must be proved: \(ways(caller))")
    }

    private func identity(
        of certificate: PeerCertificate,
        trust: UInt64,
        at now: Date
    ) throws(CallError) -> String {
        guard certificate.trust == trust else {
            throw CallError(.unauthenticated, "The client CA has changed since this connection began: connect again")
        }
        guard now.timeIntervalSince1970 <= Double(certificate.expiry) else {
            throw CallError(.unauthenticated, "The certificate has expired since this connection began")
        }
        guard let identity = CertificateIdentity.of(certificate) else {
            throw CallError(.unauthenticated, "The certificate has no alternative name that could be an identity")
        }
        return identity
    }

    /// What the caller could do.
    private func ways(_ caller: Caller) -> String {
        var ways: [String] = []
        if tokens != nil { ways.append("by a token") }
        if trust != nil, caller.isEncrypted { ways.append("by a certificate") }
        if caller.userID != nil { ways.append("by a user that the policy names") }
        return ways.isEmpty ? "nothing can prove it on this connection" : ways.joined(separator: ", ")
    }

    /// The token of an `authorization` value (P-27): `Bearer `, in any case, and characters of RFC 6750's b64token.
    private static func token(in value: [UInt8]) -> ArraySlice<UInt8>? {
        let scheme = Array("bearer ".utf8)
        guard value.count > scheme.count else { return nil }
        // An upper-case letter has bit 5 clear, and the blank has it set.
        for (byte, expected) in zip(value, scheme) {
            let isLetter = expected != UInt8(ascii: " ")
            guard (isLetter ? byte | 0x20 : byte) == expected else { return nil }
        }
        let token = value[scheme.count...]
        let isAllowed = token.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "A")...UInt8(ascii: "Z"):
                true
            default: "-._~+/=".utf8.contains(byte)
            }
        }
        return isAllowed ? token : nil
    }
}

internal import DiskDeltaProtocol
internal import Glibc

/// Who somebody is by the alternative names of his certificate.
enum CertificateIdentity {
    /// The longest name in bytes that is taken.
    static let maximumByteCount = 256

    /// The kinds of names, those first that say most about who somebody is.
    private static let precedence: [PeerCertificate.Name.Kind] = [.uri, .dns, .email, .ipAddress]

    /// The identity: the first URI; where there is none, the first DNS name; then e-mail address; then IP address. The common
    /// name of the subject is never used.
    ///
    /// Nil where there is no such name, or where the one that counts is not plainly a name of its kind: another is not tried
    /// then.
    static func of(_ certificate: PeerCertificate) -> String? {
        for kind in precedence {
            guard let name = certificate.alternativeNames.first(where: { $0.kind == kind }) else { continue }
            return text(name)
        }
        return nil
    }

    private static func text(_ name: PeerCertificate.Name) -> String? {
        if name.kind == .ipAddress { return address(name.bytes) }
        // Visible characters of ASCII. An issuer may have written anything: NUL, blanks, a line of a log.
        guard (1...maximumByteCount).contains(name.bytes.count), name.bytes.allSatisfy({ (0x21...0x7E).contains($0) })
        else { return nil }
        let text = String(decoding: name.bytes, as: UTF8.self)
        switch name.kind {
        case .uri:
            // What the peers of Unix sockets are called is nobody else's.
            guard let colon = text.firstIndex(of: ":"), colon != text.startIndex,
                text[..<colon].lowercased() != "uid"
            else { return nil }
            return text
        case .dns:
            // A wildcard says what a server may be called, not who somebody is.
            let isName = name.bytes.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                    UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
                    true
                default: false
                }
            }
            return isName ? text.lowercased() : nil
        case .email: return text.contains("@") ? text : nil
        case .ipAddress: return nil
        }
    }

    /// An address in its usual form.
    private static func address(_ bytes: [UInt8]) -> String? {
        let family: Int32
        switch bytes.count {
        case 4: family = AF_INET
        case 16: family = AF_INET6
        default: return nil
        }
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard inet_ntop(family, bytes, &text, socklen_t(text.count)) != nil else { return nil }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

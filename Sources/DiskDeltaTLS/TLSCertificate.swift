internal import COpenSSL
internal import Glibc

/// An X.509 certificate. It never changes.
package final class TLSCertificate: @unchecked Sendable {
    // Sendable, because OpenSSL's own count of references and what it computes of a certificate are safe between threads.
    let pointer: OpaquePointer

    /// Takes over a reference of the caller.
    init(owning pointer: OpaquePointer) {
        self.pointer = pointer
    }

    deinit {
        X509_free(pointer)
    }

    /// Reads all certificates of a text in PEM, of which there must be at least one. What stands between them does not matter.
    package static func list(pem: [UInt8]) throws(TLSError) -> [TLSCertificate] {
        try OpenSSL.prepare()
        ERR_clear_error()
        var list: [TLSCertificate] = []
        let isWhole = OpenSSL.read(pem) { source in
            while let pointer = PEM_read_bio_X509(source, nil, noPassphrase, nil) {
                list.append(TLSCertificate(owning: pointer))
            }
            // Its end is told as a beginning that is missing; everything else is damage.
            return ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE
        }
        let reason = OpenSSL.lastReason()
        guard isWhole == true, !list.isEmpty else { throw TLSError(.unusable, "no certificate in PEM: \(reason)") }
        return list
    }

    /// As it stands on the wire.
    package var der: [UInt8] {
        let length = i2d_X509(pointer, nil)
        guard length > 0 else { return [] }
        return [UInt8](unsafeUninitializedCapacity: Int(length)) { buffer, count in
            var end = buffer.baseAddress
            count = Int(max(0, i2d_X509(pointer, &end)))
        }
    }

    /// The last second at which it is valid, since 1970.
    package var notAfter: Int64 { Self.seconds(X509_get0_notAfter(pointer)) ?? .min }

    /// A time in seconds since 1970; nil if it is none.
    static func seconds(_ time: UnsafePointer<ASN1_TIME>?) -> Int64? {
        var parts = tm()
        guard let time, ASN1_TIME_to_tm(time, &parts) == 1 else { return nil }
        return Int64(timegm(&parts))
    }

    /// In lower-case hexadecimal digits, two for each byte.
    package var serialNumber: String {
        let digits = Array("0123456789abcdef".utf8)
        let text = Self.bytes(X509_get0_serialNumber(pointer)).flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
        return String(decoding: text, as: UTF8.self)
    }

    // MARK: Names

    /// One of the names in the subject alternative name extension (RFC 5280, 4.2.1.6), as its issuer wrote it there.
    package struct Name: Hashable, Sendable {
        package enum Kind: Hashable, Sendable { case uri, dns, email, ipAddress }

        package let kind: Kind
        package let bytes: [UInt8]
    }

    /// In the order of the certificate. Names of other kinds are left out; if the extension cannot be read there are none.
    package var alternativeNames: [Name] {
        ERR_clear_error()
        defer { ERR_clear_error() }
        guard let found = X509_get_ext_d2i(pointer, NID_subject_alt_name, nil, nil) else { return [] }
        let names = OpaquePointer(found)
        defer { GENERAL_NAMES_free(names) }
        return (0..<max(0, copenssl_sk_GENERAL_NAME_num(names))).compactMap { index in
            guard let name = copenssl_sk_GENERAL_NAME_value(names, index) else { return nil }
            var type: Int32 = 0
            guard let value = GENERAL_NAME_get0_value(name, &type) else { return nil }
            let kind: Name.Kind
            switch type {
            case GEN_URI: kind = .uri
            case GEN_DNS: kind = .dns
            case GEN_EMAIL: kind = .email
            case GEN_IPADD: kind = .ipAddress
            default: return nil
            }
            // These four are strings of ASN.1; others are not.
            return Name(kind: kind, bytes: Self.bytes(value.assumingMemoryBound(to: ASN1_STRING.self)))
        }
    }

    private static func bytes(_ string: UnsafePointer<ASN1_STRING>?) -> [UInt8] {
        guard let string, let data = ASN1_STRING_get0_data(string) else { return [] }
        return Array(UnsafeBufferPointer(start: data, count: Int(max(0, ASN1_STRING_length(string)))))
    }
}

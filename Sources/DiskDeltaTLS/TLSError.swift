internal import COpenSSL

/// Why TLS cannot be begun, or cannot go on.
package struct TLSError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Kind: Hashable, Sendable {
        /// There is no certificate or no key in what was given, or OpenSSL does not take it.
        case unusable
        /// The key is not that of the certificate.
        case keyMismatch
        /// The peer closed the connection before the handshake was over.
        case cutInHandshake
        /// The connection ended without the end of TLS: what had arrived may be a part only.
        case cut
        /// The peer speaks something else than TLS.
        case noTLS
        /// The peer does not speak TLS 1.3.
        case version
        /// The peer does not speak the protocol that was offered (ALPN).
        case noCommonProtocol
        /// The peer's certificate is not trusted.
        case untrusted(Distrust)
        /// The peer showed no certificate.
        case noCertificate
        /// The peer ended the connection and said why, by an alert of RFC 8446, section 6.
        case alert(UInt8)
        case other
    }

    /// What is wrong with a certificate that a peer showed.
    package struct Distrust: Hashable, Sendable {
        package enum Cause: Hashable, Sendable {
            /// It is for another host.
            case otherName
            /// It has expired, at that second since 1970.
            case expired(Int64)
            /// It is not valid before that second since 1970.
            case notYetValid(Int64)
            /// Its issuer is not among the authorities.
            case unknownAuthority
            case other
        }

        package let cause: Cause
        /// Whether that is the peer's own certificate, and not one that it rests on.
        package let isOwn: Bool
        /// In OpenSSL's words.
        package let text: String
    }

    package let kind: Kind
    /// A sentence without a full stop, or the end of one.
    package let description: String

    init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }

    /// The number of the alert certificate_required, for which OpenSSL 3.0 has no name (RFC 8446, 6.2).
    package static let certificateRequired: UInt8 = 116

    static let cutInHandshake = TLSError(.cutInHandshake, "the connection was closed during the TLS handshake")
    static let cut = TLSError(.cut, "the connection ended without the end of TLS")

    /// What OpenSSL put into this thread's queue of errors, which is empty afterwards.
    ///
    /// - Parameter distrust: what the verification of the peer's certificate found.
    static func fromQueue(_ distrust: Distrust?) -> TLSError {
        let code = ERR_peek_last_error()
        let reason = OpenSSL.lastReason()
        guard ERR_GET_LIB(code) == ERR_LIB_SSL else { return TLSError(.other, reason) }
        let number = ERR_GET_REASON(code)
        if let alert = UInt8(exactly: number - SSL_AD_REASON_OFFSET) { return fromAlert(alert) }
        switch number {
        case SSL_R_CERTIFICATE_VERIFY_FAILED:
            guard let distrust else { return TLSError(.other, reason) }
            return TLSError(.untrusted(distrust), "the certificate of the other side is not trusted: \(distrust.text)")
        case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
            return TLSError(.noCertificate, "the other side showed no certificate")
        case SSL_R_WRONG_VERSION_NUMBER, SSL_R_HTTP_REQUEST, SSL_R_HTTPS_PROXY_REQUEST, SSL_R_PACKET_LENGTH_TOO_LONG:
            return TLSError(.noTLS, "what arrives is no TLS: \(reason)")
        case SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_WRONG_SSL_VERSION:
            return TLSError(.version, "the other side does not speak TLS 1.3")
        case SSL_R_NO_APPLICATION_PROTOCOL:
            return TLSError(.noCommonProtocol, "there is no protocol in common")
        default:
            return TLSError(.other, reason)
        }
    }

    private static func fromAlert(_ alert: UInt8) -> TLSError {
        let kind: Kind =
            switch Int32(alert) {
            case SSL_AD_PROTOCOL_VERSION: .version
            case SSL_AD_NO_APPLICATION_PROTOCOL: .noCommonProtocol
            default: .alert(alert)
            }
        let name =
            if alert == certificateRequired {
                "certificate required"
            } else {
                String(cString: SSL_alert_desc_string_long(Int32(alert)))
            }
        return TLSError(kind, "the other side ended TLS with the alert '\(name)'")
    }
}

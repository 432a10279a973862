internal import COpenSSL

/// What OpenSSL asks and tells while it verifies the certificates of a peer.
enum TLSVerification {
    /// Is called for each certificate that is good so far, from the authority down, and for what is wrong. It makes nothing good
    /// that OpenSSL finds bad.
    static let callback: @convention(c) (Int32, OpaquePointer?) -> Int32 = { isGood, store in
        guard let store else { return 0 }
        let isGood = isGood == 1 && mayVouch(store)
        if !isGood, let wire = wire(of: store), wire.distrust == nil { wire.distrust = distrust(store) }
        return isGood ? 1 : 0
    }

    /// Whether the certificate may vouch for others, if it does. OpenSSL is content with the key usage alone; here an authority
    /// says that it is one (RFC 5280, 4.2.1.9), or is a root of the time before that was possible.
    private static func mayVouch(_ store: OpaquePointer) -> Bool {
        guard X509_STORE_CTX_get_error_depth(store) > 0 else { return true }
        guard let certificate = X509_STORE_CTX_get_current_cert(store) else { return false }
        let isAuthority = 1
        let isFirstVersionRoot = 3
        if [isAuthority, isFirstVersionRoot].contains(Int(X509_check_ca(certificate))) { return true }
        X509_STORE_CTX_set_error(store, X509_V_ERR_INVALID_CA)
        return false
    }

    private static func wire(of store: OpaquePointer) -> TLSWire? {
        guard let ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()),
            let wire = SSL_get_ex_data(OpaquePointer(ssl), 0)
        else { return nil }
        return Unmanaged<TLSWire>.fromOpaque(wire).takeUnretainedValue()
    }

    private static func distrust(_ store: OpaquePointer) -> TLSError.Distrust {
        let error = X509_STORE_CTX_get_error(store)
        let certificate = X509_STORE_CTX_get_current_cert(store)
        let cause: TLSError.Distrust.Cause =
            switch error {
            case X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH:
                .otherName
            case X509_V_ERR_CERT_HAS_EXPIRED:
                TLSCertificate.seconds(certificate.flatMap { X509_get0_notAfter($0) }).map { .expired($0) } ?? .other
            case X509_V_ERR_CERT_NOT_YET_VALID:
                TLSCertificate.seconds(certificate.flatMap { X509_get0_notBefore($0) }).map { .notYetValid($0) }
                    ?? .other
            case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
                X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
                X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
                .unknownAuthority
            default:
                .other
            }
        return TLSError.Distrust(
            cause: cause,
            isOwn: X509_STORE_CTX_get_error_depth(store) <= 0,
            text: String(cString: X509_verify_cert_error_string(Int(error)))
        )
    }
}

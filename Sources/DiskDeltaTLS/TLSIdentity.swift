internal import COpenSSL

/// A private key.
package final class TLSKey: @unchecked Sendable {
    // Sendable, because it never changes, and OpenSSL counts its references safely between threads.
    let pointer: OpaquePointer

    /// Reads the first key of a text in PEM. One with a passphrase is refused, and nobody is asked for it.
    package init(pem: [UInt8]) throws(TLSError) {
        try OpenSSL.prepare()
        ERR_clear_error()
        let pointer = OpenSSL.read(pem) { PEM_read_bio_PrivateKey($0, nil, noPassphrase, nil) }
        let reason = OpenSSL.lastReason()
        guard let pointer, let pointer else { throw TLSError(.unusable, "no key in PEM: \(reason)") }
        self.pointer = pointer
    }

    deinit {
        EVP_PKEY_free(pointer)
    }
}

/// What one side proves by who it is.
package struct TLSIdentity: Sendable {
    let chain: [TLSCertificate]
    let key: TLSKey

    /// - Parameters:
    ///   - chain: the certificate, and behind it those that lead to its authority; at least one.
    ///   - key: of the first of them.
    package init(chain: [TLSCertificate], key: TLSKey) throws(TLSError) {
        guard let own = chain.first else { throw TLSError(.unusable, "there is no certificate") }
        ERR_clear_error()
        defer { ERR_clear_error() }
        guard X509_check_private_key(own.pointer, key.pointer) == 1 else {
            throw TLSError(.keyMismatch, "the key is not that of the certificate")
        }
        self.chain = chain
        self.key = key
    }
}

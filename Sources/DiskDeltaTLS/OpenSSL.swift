internal import COpenSSL

/// What concerns OpenSSL as a whole. The module asks for nothing else of it before this.
enum OpenSSL {
    /// Makes OpenSSL ready. It does not clear up when the process exits, because threads may still be using it then.
    static func prepare() throws(TLSError) {
        guard isReady else { throw TLSError(.other, "OpenSSL cannot be used: \(lastReason())") }
    }

    private static let isReady = OPENSSL_init_ssl(UInt64(OPENSSL_INIT_NO_ATEXIT), nil) == 1

    /// What OpenSSL said last on this thread, in its own words. The queue is empty afterwards.
    static func lastReason() -> String {
        let code = ERR_peek_last_error()
        ERR_clear_error()
        guard let text = ERR_reason_error_string(code) else { return "OpenSSL gives no reason" }
        return String(cString: text)
    }

    /// Lends bytes as something that OpenSSL reads from; nil if there is no memory for it, or there are too many.
    static func read<Result>(_ bytes: [UInt8], _ body: (OpaquePointer) -> Result) -> Result? {
        guard let count = Int32(exactly: bytes.count), count > 0 else { return nil }
        return bytes.withUnsafeBytes { bytes in
            guard let source = BIO_new_mem_buf(bytes.baseAddress, count) else { return nil }
            defer { BIO_free(source) }
            return body(source)
        }
    }
}

/// Answers where OpenSSL asks for a passphrase: there is none. Without it OpenSSL would ask on the terminal.
func noPassphrase(_: UnsafeMutablePointer<CChar>?, _: Int32, _: Int32, _: UnsafeMutableRawPointer?) -> Int32 { -1 }

import COpenSSL
import NIOCore
import TestSupport
import Testing

/// A client by OpenSSL alone, which verifies nobody and does what no honest one does.
final class RawClient {
    private let ssl: OpaquePointer
    private let context: OpaquePointer
    private let input: OpaquePointer
    private let output: OpaquePointer

    /// - Parameters:
    ///   - groups: in which it exchanges keys, as OpenSSL writes them; nil for its own choice.
    ///   - identity: what it shows if it is asked.
    init(groups: String? = nil, identity: IssuedCertificate? = nil) throws {
        context = try #require(SSL_CTX_new(TLS_client_method()))
        if var groups = groups.map({ Array($0.utf8CString) }) {
            try #require(SSL_CTX_ctrl(context, SSL_CTRL_SET_GROUPS_LIST, 0, &groups) == 1)
        }
        if let identity {
            try #require(SSL_CTX_use_certificate_file(context, identity.certificate, SSL_FILETYPE_PEM) == 1)
            try #require(SSL_CTX_use_PrivateKey_file(context, identity.key, SSL_FILETYPE_PEM) == 1)
        }
        ssl = try #require(SSL_new(context))
        input = try #require(BIO_new(BIO_s_mem()))
        output = try #require(BIO_new(BIO_s_mem()))
        SSL_set_bio(ssl, input, output)
        SSL_set_connect_state(ssl)
    }

    deinit {
        SSL_free(ssl)
        SSL_CTX_free(context)
    }

    func shakeHands() {
        SSL_do_handshake(ssl)
    }

    func receive(_ bytes: ByteBuffer) {
        bytes.withUnsafeReadableBytes { _ = BIO_write(input, $0.baseAddress, Int32($0.count)) }
    }

    func takeOutput() -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: 1 << 16) { room in
            Int(max(0, BIO_read(output, room.baseAddress, Int32(room.count))))
        }
        return buffer
    }

    func send(_ text: String) {
        SSL_write(ssl, text, Int32(text.utf8.count))
    }

    /// Takes new keys, and asks the other side to do the same.
    func updateKeys() -> ByteBuffer {
        SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED)
        SSL_do_handshake(ssl)
        return takeOutput()
    }
}

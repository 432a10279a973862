import COpenSSL
import NIOCore
import Testing

/// A client by OpenSSL alone, which verifies nobody and does what no honest one does.
final class RawClient {
    private let ssl: OpaquePointer
    private let context: OpaquePointer
    private let input: OpaquePointer
    private let output: OpaquePointer

    init() throws {
        context = try #require(SSL_CTX_new(TLS_client_method()))
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

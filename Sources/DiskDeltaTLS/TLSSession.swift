internal import COpenSSL
package import NIOCore

/// One side of a TLS connection, without I/O: it is told what has arrived, and says what is to be sent. Not for several threads.
///
/// What is to be sent is asked for after every call, also after one that failed: there may be an alert that tells the peer why.
package final class TLSSession {
    /// What came of bytes that have arrived.
    package struct Received {
        /// Whether the handshake has ended with these bytes: both sides are who they should be.
        package var isHandshakeOver = false
        /// What the peer sent, decrypted and proved to be the peer's.
        package var plaintext = ByteBuffer()
        /// What ended the connection behind the plaintext; nil if it goes on.
        package var end: End?
    }

    package enum End: Hashable, Sendable {
        /// The peer says that it sends no more (close_notify).
        case closed
        case failed(TLSError)
    }

    private enum Phase {
        case handshake
        case open
        /// The peer ended TLS; this side has not.
        case closed
        case failed
    }

    /// How much of a handshake is read. Its longest message, with certificates, may have 100 KiB by OpenSSL's own limit.
    private static let maximumHandshake = 256 << 10
    /// How many bytes without any data are read in a row: empty records, tickets, updates of keys. A record is a quarter of it.
    private static let maximumIdleBytes = 64 << 10
    /// The longest record, and what TLS 1.3 adds to its plaintext: header, type and tag.
    static let recordLength = 16_384
    static let recordOverhead = 22

    /// The protocol that both sides agreed upon (ALPN); nil before the end of the handshake, and if there is none.
    package private(set) var applicationProtocol: String?
    /// The certificate that the peer showed, verified; nil before the end of the handshake, and if there is none. What happens after
    /// the handshake does not change it.
    package private(set) var peerCertificate: TLSCertificate?

    private let context: TLSContext
    private let wire = TLSWire()
    private let ssl: OpaquePointer
    private var phase = Phase.handshake
    private var helloLimit = HelloLimit()
    /// Whether this side said that it sends no more.
    private var hasFinished = false

    /// For the context of a client, `peer` is whom the certificate must be for; a server does not ask for names.
    package init(_ context: TLSContext, peer: TLSPeerName? = nil) throws(TLSError) {
        ERR_clear_error()
        guard let ssl = SSL_new(context.pointer) else { throw TLSError(.other, OpenSSL.lastReason()) }
        self.context = context
        self.ssl = ssl
        guard wire.attach(to: ssl) else { throw TLSError(.other, OpenSSL.lastReason()) }
        if context.isServer {
            SSL_set_accept_state(ssl)
        } else {
            SSL_set_connect_state(ssl)
            try expect(peer)
        }
    }

    deinit {
        SSL_free(ssl)
    }

    private func expect(_ peer: TLSPeerName?) throws(TLSError) {
        let isSet: Bool
        switch peer {
        case nil:
            throw TLSError(.other, "a client must know whom it connects to")
        case .address(let bytes):
            isSet = X509_VERIFY_PARAM_set1_ip(SSL_get0_param(ssl), bytes, bytes.count) == 1
        case .host(let name):
            // Alternative names alone count, and a wildcard stands for the whole of the first label.
            SSL_set_hostflags(
                ssl,
                UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS) | UInt32(X509_CHECK_FLAG_NEVER_CHECK_SUBJECT)
            )
            // SSL_set1_host would take 010.0.0.1 for the address 10.0.0.1, which is not the one that is connected to then.
            isSet =
                X509_VERIFY_PARAM_set1_host(SSL_get0_param(ssl), name, name.utf8.count) == 1
                && copenssl_SSL_set_tlsext_host_name(ssl, name) == 1
        }
        guard isSet else { throw TLSError(.other, OpenSSL.lastReason()) }
    }

    // MARK: Receiving

    /// Begins the handshake. A client has something to send then.
    package func begin() throws(TLSError) {
        guard phase == .handshake else { return }
        var received = Received()
        shakeHands(&received)
        if case .failed(let error) = received.end { throw error }
    }

    /// Takes what has arrived, all of it. After the end it is ignored.
    package func receive(_ bytes: ByteBuffer) -> Received {
        bytes.withUnsafeReadableBytes { bytes in
            var received = Received()
            wire.input = bytes
            defer { wire.input = UnsafeRawBufferPointer(start: nil, count: 0) }
            if phase == .handshake {
                guard !context.isServer || helloLimit.admits(bytes) else {
                    fail(&received, TLSError(.other, "the hello of the other side is too long"))
                    return received
                }
                shakeHands(&received)
            }
            if phase == .open { decrypt(&received) }
            return received
        }
    }

    private func shakeHands(_ received: inout Received) {
        ERR_clear_error()
        let result = SSL_do_handshake(ssl)
        guard result == 1 else {
            switch SSL_get_error(ssl, result) {
            case SSL_ERROR_WANT_READ:
                guard wire.taken > Self.maximumHandshake else { return }
                fail(&received, TLSError(.other, "the handshake of the other side does not end"))
            case SSL_ERROR_ZERO_RETURN:
                fail(&received, .cutInHandshake)
            default:
                fail(&received, .fromQueue(wire.distrust))
            }
            return
        }
        // OpenSSL has seen to all this. It is asked once more, because everything rests on it.
        let certificate = SSL_get1_peer_certificate(ssl).map { TLSCertificate(owning: $0) }
        let hasProof = context.isServer || certificate != nil
        guard SSL_version(ssl) == TLS1_3_VERSION, hasProof, Int32(SSL_get_verify_result(ssl)) == X509_V_OK else {
            fail(&received, TLSError(.other, "the handshake proves nothing"))
            return
        }
        peerCertificate = certificate
        applicationProtocol = selectedProtocol()
        phase = .open
        wire.taken = 0
        received.isHandshakeOver = true
    }

    private func selectedProtocol() -> String? {
        var name: UnsafePointer<UInt8>?
        var count: UInt32 = 0
        SSL_get0_alpn_selected(ssl, &name, &count)
        guard let name, count > 0 else { return nil }
        return String(decoding: UnsafeBufferPointer(start: name, count: Int(count)), as: UTF8.self)
    }

    private func decrypt(_ received: inout Received) {
        guard wire.input.count > 0 || SSL_has_pending(ssl) == 1 else { return }
        // No more plaintext than this can come of what OpenSSL holds of a record and what has arrived.
        received.plaintext.reserveCapacity(wire.taken + wire.input.count)
        while true {
            ERR_clear_error()
            var result: Int32 = 0
            received.plaintext.writeWithUnsafeMutableBytes(minimumWritableBytes: 1) { room in
                var count = 0
                result = SSL_read_ex(ssl, room.baseAddress, room.count, &count)
                return result == 1 ? count : 0
            }
            guard result != 1 else {
                wire.taken = 0
                continue
            }
            switch SSL_get_error(ssl, result) {
            case SSL_ERROR_WANT_READ:
                guard wire.taken > Self.maximumIdleBytes else { return }
                fail(&received, TLSError(.other, "the other side sends records without data"))
            case SSL_ERROR_ZERO_RETURN:
                phase = .closed
                received.end = .closed
            default:
                fail(&received, .fromQueue(wire.distrust))
            }
            return
        }
    }

    private func fail(_ received: inout Received, _ error: TLSError) {
        ERR_clear_error()
        phase = .failed
        received.end = .failed(error)
    }

    // MARK: Sending

    /// Encrypts bytes, in as many records as they need. Only between the handshake and the end.
    package func send(_ bytes: UnsafeRawBufferPointer) throws(TLSError) {
        guard phase == .open, !hasFinished else { throw TLSError(.other, "TLS is not open") }
        guard !bytes.isEmpty else { return }
        ERR_clear_error()
        var count = 0
        let result = SSL_write_ex(ssl, bytes.baseAddress, bytes.count, &count)
        guard result == 1, count == bytes.count else {
            phase = .failed
            // It sends nothing while it has a part of a message of TLS itself, a ticket or new keys, and waits for the rest.
            guard SSL_get_error(ssl, result) != SSL_ERROR_WANT_READ else {
                throw TLSError(.other, "the other side is in the middle of a message of TLS")
            }
            throw .fromQueue(nil)
        }
    }

    /// Tells the peer that no more is sent (close_notify). Before the end of the handshake, and after a failure, there is nothing to
    /// say.
    package func finish() {
        guard phase == .open || phase == .closed, !hasFinished else { return }
        hasFinished = true
        ERR_clear_error()
        SSL_shutdown(ssl)
        ERR_clear_error()
    }

    /// Makes room for what so many bytes become, so that it is not moved while it grows.
    func reserveOutput(for count: Int) {
        let records = count / Self.recordLength + 2
        wire.output.reserveCapacity(count + records * Self.recordOverhead)
    }

    /// How many bytes are to be sent.
    package var outputCount: Int { wire.output.readableBytes }

    /// Takes what is to be sent; nil if there is nothing.
    package func takeOutput() -> ByteBuffer? {
        guard wire.output.readableBytes > 0 else { return nil }
        defer { wire.output = ByteBuffer() }
        return wire.output
    }
}

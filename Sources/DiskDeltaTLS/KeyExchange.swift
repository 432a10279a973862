internal import COpenSSL

/// Which groups keys are exchanged in: those that OpenSSL is set up for, without the finite fields of RFC 7919.
///
/// In such a field a server computes for longer than anywhere else, up to 160 ms, and a peer that has proved nothing has it do so with the same copied
/// bytes over and over, for which nothing need be computed. On a curve that takes 3 ms at most.
enum KeyExchange {
    private typealias Judge =
        @convention(c) (
            OpaquePointer?, OpaquePointer?, Int32, Int32, Int32, UnsafeMutableRawPointer?, UnsafeMutableRawPointer?
        ) -> Int32

    private static let finiteFields = NID_ffdhe2048...NID_ffdhe8192

    /// Has OpenSSL ask here what is strong enough. Whatever is no such field its own judgement decides, by the security level.
    static func leaveOutFiniteFields(_ context: OpaquePointer) {
        let standard: Judge? = SSL_CTX_get_security_callback(context)
        SSL_CTX_set0_security_ex_data(context, unsafeBitCast(standard, to: UnsafeMutableRawPointer?.self))
        SSL_CTX_set_security_callback(context) { ssl, context, operation, bits, kind, other, standard in
            let isGroup = UInt32(bitPattern: operation) & SSL_SECOP_OTHER_TYPE == UInt32(SSL_SECOP_OTHER_CURVE)
            if isGroup, KeyExchange.finiteFields.contains(kind) { return 0 }
            guard let standard else { return 0 }
            return unsafeBitCast(standard, to: Judge.self)(ssl, context, operation, bits, kind, other, nil)
        }
    }
}

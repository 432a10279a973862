package import DiskDeltaTLS

/// How an ``RPCServer`` protects its connections over TCP.
///
/// It is asked at the beginning of each connection, so that certificates can be exchanged while the server runs.
public struct ServerTLS: Sendable {
    /// What one connection is protected by.
    public struct Protection: Sendable {
        /// Certificate, key and trust. It must offer `diskdelta/1` by ALPN and no other protocol.
        package var context: TLSContext
        /// Tells states of trust apart: see ``PeerCertificate/trust``.
        public var trust: UInt64

        package init(context: TLSContext, trust: UInt64) {
            self.context = context
            self.trust = trust
        }
    }

    let current: @Sendable () -> Protection

    /// - Parameter current: what protects a connection that begins now. It must not block.
    public init(current: @escaping @Sendable () -> Protection) {
        self.current = current
    }
}

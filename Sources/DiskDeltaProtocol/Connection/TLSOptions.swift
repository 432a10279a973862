/// How a client protects its connections and knows the server (P-81).
///
/// TLS 1.3 at least, with the protocol `diskdelta/1` agreed upon. The server's certificate is verified against the name or
/// the address that was connected to; there is no way not to.
public struct TLSOptions: Hashable, Sendable {
    /// Whose signature makes a certificate of a server trusted.
    public enum Authorities: Hashable, Sendable {
        /// Those that the system trusts.
        case system
        /// The certificates in a PEM file, and no others.
        case file(String)
    }

    /// What the client proves itself with.
    public struct Identity: Hashable, Sendable {
        /// A PEM file: the client's certificate, and after it those that lead to the authority.
        public var certificateFile: String
        /// A PEM file with the private key of the certificate, without a passphrase.
        public var keyFile: String

        public init(certificateFile: String, keyFile: String) {
            self.certificateFile = certificateFile
            self.keyFile = keyFile
        }
    }

    public var authorities: Authorities

    /// Nil where the client has no certificate.
    public var identity: Identity?

    /// The host name that the server's certificate must have; nil means the one that is connected to.
    public var serverName: String?

    public init(authorities: Authorities = .system, identity: Identity? = nil, serverName: String? = nil) {
        self.authorities = authorities
        self.identity = identity
        self.serverName = serverName
    }
}

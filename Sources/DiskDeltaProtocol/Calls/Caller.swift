/// Who is at the other end of a call, as far as the carrier knows without being told.
public struct Caller: Hashable, Sendable {
    /// The address of the peer, as text made by this process; empty inside one process.
    public var peer: String

    /// Whether only this machine's own users can be the peer: a Unix socket, or a loopback address.
    public var isLocal: Bool

    /// Whether nobody on the way can read along: the connection is TLS.
    public var isEncrypted: Bool

    /// The certificate that the peer showed, verified when the connection began; nil where it showed none.
    public var certificate: PeerCertificate?

    /// The user that the process at the other end of a Unix socket ran as when it connected; nil elsewhere.
    public var userID: UInt32?

    public init(
        peer: String,
        isLocal: Bool,
        isEncrypted: Bool = false,
        certificate: PeerCertificate? = nil,
        userID: UInt32? = nil
    ) {
        self.peer = peer
        self.isLocal = isLocal
        self.isEncrypted = isEncrypted
        self.certificate = certificate
        self.userID = userID
    }

    /// A caller in this process.
    public static let inProcess = Caller(peer: "", isLocal: true)
}

/// What a verified certificate says of the peer that showed it.
public struct PeerCertificate: Hashable, Sendable {
    /// One of the names in the subject alternative name extension (RFC 5280, 4.2.1.6).
    public struct Name: Hashable, Sendable {
        public enum Kind: Hashable, Sendable {
            case uri, dns, email
            /// The bytes of the name are an address of 4 or 16 bytes.
            case ipAddress
        }

        public let kind: Kind
        /// As they stand in the certificate: whatever its issuer wrote there.
        public let bytes: [UInt8]

        public init(_ kind: Kind, _ bytes: [UInt8]) {
            self.kind = kind
            self.bytes = bytes
        }
    }

    /// In the order of the certificate; names of other kinds are left out.
    public var alternativeNames: [Name]

    /// In lower-case hexadecimal digits.
    public var serialNumber: String

    /// When it expires, in seconds since 1970.
    public var expiry: Int64

    /// Which state of the server's trust it was verified under. When the server stops trusting an issuer, the number of its
    /// trust rises, and certificates verified before prove nothing any more.
    public var trust: UInt64

    public init(alternativeNames: [Name], serialNumber: String, expiry: Int64, trust: UInt64) {
        self.alternativeNames = alternativeNames
        self.serialNumber = serialNumber
        self.expiry = expiry
        self.trust = trust
    }
}

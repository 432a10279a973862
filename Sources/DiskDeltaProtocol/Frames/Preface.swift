internal import ByteReading

/// The 16 bytes that each side sends first. Section 2 of `Docs/Protocol.md`.
public struct Preface: Hashable, Sendable {
    /// The length of the preface in bytes.
    public static let byteCount = 16

    /// The version that this module speaks.
    public static let current = Preface(major: 1, minor: 0, features: 0)

    /// What both sides agree upon by ALPN where the connection is TLS (P-1).
    public static let applicationProtocol = "diskdelta/1"

    private static let magic: UInt64 = 0x8944_4450_0D0A_1A0A

    public var major: UInt16
    public var minor: UInt16
    /// A bit for each optional feature.
    public var features: UInt32

    public init(major: UInt16, minor: UInt16, features: UInt32) {
        self.major = major
        self.minor = minor
        self.features = features
    }

    /// Appends the 16 bytes.
    public func encode(into sink: inout some ByteSink) {
        sink.append(bigEndian: Self.magic)
        sink.append(bigEndian: major)
        sink.append(bigEndian: minor)
        sink.append(bigEndian: features)
    }

    /// Reads the preface of a peer. Throws ``ProtocolError/Code/foreignPeer`` for another magic (P-6) and
    /// ``ProtocolError/Code/unsupportedVersion`` for another major version (P-7).
    public init(decoding bytes: RawSpan) throws(ProtocolError) {
        let magic: UInt64
        do {
            magic = try bytes.bigEndian(UInt64.self, at: 0)
            major = try bytes.bigEndian(UInt16.self, at: 8)
            minor = try bytes.bigEndian(UInt16.self, at: 10)
            features = try bytes.bigEndian(UInt32.self, at: 12)
        } catch {
            throw ProtocolError(.foreignPeer, "The preface is cut short: \(error).")
        }
        guard magic == Self.magic else {
            throw ProtocolError(.foreignPeer, "The peer does not speak the DiskDelta protocol (P-6).")
        }
        guard major == Self.current.major else {
            throw ProtocolError(
                .unsupportedVersion,
                "The peer speaks version \(major).\(minor), this side \(Self.current.major).\(Self.current.minor)"
                    + " (P-7)."
            )
        }
    }
}

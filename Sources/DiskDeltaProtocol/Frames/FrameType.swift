/// What a frame is. Section 3 of `Docs/Protocol.md`.
public struct FrameType: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    public let rawValue: UInt8

    public init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    public static let settings = FrameType(rawValue: 0x01)
    public static let open = FrameType(rawValue: 0x02)
    public static let data = FrameType(rawValue: 0x03)
    public static let end = FrameType(rawValue: 0x04)
    public static let cancel = FrameType(rawValue: 0x05)
    public static let credit = FrameType(rawValue: 0x06)
    public static let ping = FrameType(rawValue: 0x07)
    public static let goAway = FrameType(rawValue: 0x08)

    private static let names = ["SETTINGS", "OPEN", "DATA", "END", "CANCEL", "CREDIT", "PING", "GOAWAY"]

    /// Whether this version gives the type a meaning.
    public var isKnown: Bool { (0x01...0x08).contains(rawValue) }

    /// Whether a receiver that does not know the type may skip the frame (P-10).
    public var isIgnorable: Bool { rawValue & 0x80 != 0 }

    public var description: String {
        isKnown ? Self.names[Int(rawValue) - 1] : "0x" + String(rawValue, radix: 16)
    }
}

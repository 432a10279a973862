/// Why a side ends the connection. Section 12 of `Docs/Protocol.md`.
public struct GoAwayCode: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    public let rawValue: UInt32

    /// A code of any number. One that this version does not know counts as ``protocolError`` (P-50).
    public init(rawValue: UInt32) {
        self.rawValue = rawValue <= Self.internalError.rawValue ? rawValue : Self.protocolError.rawValue
    }

    private init(known rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// The sender is stopping.
    public static let noError = GoAwayCode(known: 0)
    public static let protocolError = GoAwayCode(known: 1)
    public static let frameTooLarge = GoAwayCode(known: 2)
    public static let unknownFrame = GoAwayCode(known: 3)
    public static let settingsError = GoAwayCode(known: 4)
    public static let streamError = GoAwayCode(known: 5)
    public static let flowControlError = GoAwayCode(known: 6)
    public static let unsupportedVersion = GoAwayCode(known: 7)
    public static let handshakeTimeout = GoAwayCode(known: 8)
    public static let excessiveLoad = GoAwayCode(known: 9)
    /// A defect of the sender.
    public static let internalError = GoAwayCode(known: 10)

    private static let names = [
        "NO_ERROR", "PROTOCOL_ERROR", "FRAME_TOO_LARGE", "UNKNOWN_FRAME", "SETTINGS_ERROR", "STREAM_ERROR",
        "FLOW_CONTROL_ERROR", "UNSUPPORTED_VERSION", "HANDSHAKE_TIMEOUT", "EXCESSIVE_LOAD", "INTERNAL_ERROR",
    ]

    /// The name in `Docs/Protocol.md`.
    public var name: String {
        let index = Int(rawValue)
        return Self.names.indices.contains(index) ? Self.names[index] : "PROTOCOL_ERROR"
    }

    public var description: String { name }
}

internal import ByteReading

/// The number of a stream: 0 is the connection itself, those of a client's calls are odd and below 2^31.
public typealias StreamID = UInt32

/// The 16 bytes before every payload. Section 3 of `Docs/Protocol.md`.
public struct FrameHeader: Hashable, Sendable {
    /// The length of the header in bytes.
    public static let byteCount = 16

    /// What no frame's payload may exceed, whatever its receiver allows.
    public static let hardCap: UInt32 = (1 << 24) - 1

    /// PING: this answers one.
    public static let acknowledgement: UInt8 = 0x01

    /// The reason of a CANCEL by which a server says that it did nothing of the call.
    public static let refused: UInt32 = 256

    /// The length of the payload in bytes.
    public var length: UInt32
    public var type: FrameType
    public var flags: UInt8
    public var stream: StreamID
    /// What it means depends on the type.
    public var aux: UInt32

    public init(_ type: FrameType, stream: StreamID = 0, aux: UInt32 = 0, length: UInt32 = 0, flags: UInt8 = 0) {
        self.length = length
        self.type = type
        self.flags = flags
        self.stream = stream
        self.aux = aux
    }

    /// Appends the 16 bytes.
    public func encode(into sink: inout some ByteSink) {
        sink.append(bigEndian: length)
        sink.append(bigEndian: UInt16(type.rawValue) << 8 | UInt16(flags))
        sink.append(bigEndian: 0 as UInt16)
        sink.append(bigEndian: stream)
        sink.append(bigEndian: aux)
    }

    /// Reads a header from the first 16 bytes and checks all that can be checked without knowing the connection.
    ///
    /// `maximumLength` is what the receiver announced. A frame that is to be skipped is returned unchecked but for its
    /// length.
    public init(decoding bytes: RawSpan, maximumLength: UInt32) throws(ProtocolError) {
        let reserved: UInt16
        do {
            length = try bytes.bigEndian(UInt32.self, at: 0)
            type = FrameType(rawValue: try bytes.bigEndian(UInt8.self, at: 4))
            flags = try bytes.bigEndian(UInt8.self, at: 5)
            reserved = try bytes.bigEndian(UInt16.self, at: 6)
            stream = try bytes.bigEndian(UInt32.self, at: 8)
            aux = try bytes.bigEndian(UInt32.self, at: 12)
        } catch {
            throw ProtocolError(.violation, "A frame header is cut short: \(error).")
        }
        let maximum = min(maximumLength, Self.hardCap)
        guard length <= maximum else {
            throw ProtocolError(
                .frameTooLarge,
                "A frame of \(length) bytes is longer than the \(maximum) that are accepted (P-9)."
            )
        }
        guard type.isKnown else {
            guard type.isIgnorable else {
                throw ProtocolError(.unknownFrame, "A frame has the unknown type \(type) (P-10).")
            }
            return
        }
        guard reserved == 0, stream >> 31 == 0 else {
            throw ProtocolError(.violation, "A reserved part of the header of a \(type) frame is not 0 (P-11).")
        }
        try checkFields()
    }

    private func checkFields() throws(ProtocolError) {
        let allowedFlags = type == .ping ? Self.acknowledgement : 0
        guard flags & ~allowedFlags == 0 else {
            throw ProtocolError(.violation, "A \(type) frame has the unknown flags \(flags) (P-11).")
        }
        let isForConnection = type == .settings || type == .ping || type == .goAway
        guard type == .credit || (stream == 0) == isForConnection else {
            throw ProtocolError(.violation, "A \(type) frame cannot be about stream \(stream) (P-11).")
        }
        switch type {
        case .settings:
            guard aux <= SettingsEntries.maximumCount, length == aux * SettingsEntries.byteCount else {
                throw ProtocolError(.settings, "SETTINGS of \(length) bytes cannot hold \(aux) entries (P-16).")
            }
        case .open:
            guard aux >> 31 == 0 else {
                throw ProtocolError(.violation, "The timeout of an OPEN is \(aux) ms, above 2^31 - 1 (P-25).")
            }
        case .end:
            guard aux <= 16, length <= EndPayload.maximumByteCount else {
                throw ProtocolError(.violation, "An END has the status \(aux) and \(length) bytes (P-32).")
            }
        case .cancel:
            guard (1...16).contains(aux) || aux == Self.refused, length == 0 else {
                throw ProtocolError(.violation, "A CANCEL has the reason \(aux) and \(length) bytes (P-38).")
            }
        case .credit:
            guard length == 0 else {
                throw ProtocolError(.violation, "A CREDIT has a payload (P-11).")
            }
            guard aux >= CreditRule.minimumGrant, aux <= CreditRule.maximum else {
                throw ProtocolError(.flowControl, "A CREDIT grants \(aux) bytes (P-42).")
            }
        case .ping:
            guard aux == 0, length == 8 else {
                throw ProtocolError(.violation, "A PING has \(length) bytes and aux \(aux) (P-48).")
            }
        default:
            break
        }
    }
}

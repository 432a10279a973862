internal import ByteReading

/// What a GOAWAY frame carries. Section 12 of `Docs/Protocol.md`.
public struct GoAwayPayload: Hashable, Sendable {
    public let code: GoAwayCode
    /// A sentence for a person.
    public let text: String

    /// A text that is too long is cut.
    public init(code: GoAwayCode, text: String) {
        self.code = code
        self.text = String(WireText.cut(text))
    }

    /// The length in bytes.
    public var byteCount: Int { 6 + text.utf8.count }

    /// Appends the payload.
    public func encode(into sink: inout some ByteSink) {
        sink.append(bigEndian: code.rawValue)
        sink.append(bigEndian: UInt16(truncatingIfNeeded: text.utf8.count))
        sink.append(utf8: text[...].utf8)
    }

    /// Reads a payload (P-50).
    public init(decoding bytes: RawSpan) throws(ProtocolError) {
        do {
            code = GoAwayCode(rawValue: try bytes.bigEndian(UInt32.self, at: 0))
            guard let text = try WireText.decode(bytes, at: 4), text.end == bytes.byteCount else {
                throw ProtocolError(.violation, "The text of a GOAWAY is too long, not UTF-8 or not the end (P-50).")
            }
            self.text = text.text
        } catch let error as ProtocolError {
            throw error
        } catch {
            throw ProtocolError(.violation, "A GOAWAY is cut short (P-50): \(error).")
        }
    }
}

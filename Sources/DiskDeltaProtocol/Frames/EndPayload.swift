internal import ByteReading

/// What an END frame carries; its status is in the header. Section 8 of `Docs/Protocol.md`.
public struct EndPayload: Hashable, Sendable {
    /// The longest payload in bytes.
    public static let maximumByteCount = 16_384

    /// A sentence for a person.
    public let text: String
    public let trailers: Metadata
    /// A serialized `StatusDetails`.
    public let details: [UInt8]

    /// A text that is too long is cut. Details that do not fit beside the rest are a programmer's mistake and are left
    /// out, so that the call fails instead of the connection.
    public init(text: String = "", trailers: Metadata = Metadata(), details: [UInt8] = []) {
        let text = WireText.cut(text)
        self.text = String(text)
        self.trailers = trailers
        let room = Self.maximumByteCount - 4 - text.utf8.count - trailers.byteCount
        self.details = details.count <= room ? details : []
    }

    /// The length in bytes.
    public var byteCount: Int { 4 + text.utf8.count + trailers.byteCount + details.count }

    /// Appends the payload.
    public func encode(into sink: inout some ByteSink) {
        sink.append(bigEndian: UInt16(truncatingIfNeeded: text.utf8.count))
        sink.append(utf8: text[...].utf8)
        sink.append(bigEndian: UInt16(truncatingIfNeeded: trailers.byteCount))
        trailers.encode(into: &sink)
        sink.append(contentsOf: details)
    }

    /// Reads a payload (P-32).
    public init(decoding bytes: RawSpan) throws(ProtocolError) {
        do {
            guard bytes.byteCount <= Self.maximumByteCount, let text = try WireText.decode(bytes, at: 0) else {
                throw ProtocolError(.violation, "The text of an END is too long or not UTF-8 (P-32).")
            }
            let trailersCount = Int(try bytes.bigEndian(UInt16.self, at: text.end))
            guard trailersCount <= Metadata.maximumByteCount else {
                throw ProtocolError(.violation, "An END has trailers of \(trailersCount) bytes (P-32).")
            }
            let trailers = try Metadata(decoding: bytes, at: text.end + 2, count: trailersCount)
            let detailsStart = text.end + 2 + trailersCount
            self.text = text.text
            self.trailers = trailers
            details = try bytes.copyBytes(at: detailsStart, count: bytes.byteCount - detailsStart)
        } catch let error as ProtocolError {
            throw error
        } catch {
            throw ProtocolError(.violation, "An END is cut short (P-32): \(error).")
        }
    }
}

internal import ByteReading

/// What both sides do with a PING. Section 11 of `Docs/Protocol.md`.
enum PingRule {
    /// The bytes to send back. This version asks for nothing itself, so that every ACK is one that nothing asked for.
    static func receive(
        _ header: FrameHeader,
        _ payload: RawSpan,
        hasUnansweredPing: Bool
    ) throws(ProtocolError) -> UInt64 {
        guard header.flags & FrameHeader.acknowledgement == 0 else {
            throw ProtocolError(.violation, "A PING answers one that was not sent (P-49).")
        }
        guard !hasUnansweredPing else {
            throw ProtocolError(.excessiveLoad, "A PING came before the answer to the last one could be sent (P-49).")
        }
        do {
            return try payload.bigEndian(UInt64.self, at: 0)
        } catch {
            throw ProtocolError(.violation, "A PING is cut short (P-48): \(error).")
        }
    }
}

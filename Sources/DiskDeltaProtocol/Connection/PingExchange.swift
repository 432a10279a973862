internal import ByteReading

/// The PINGs of both sides, and which of them wait for an answer. P-48 and P-49 of `Docs/Protocol.md`.
struct PingExchange: Sendable {
    enum Event: Hashable, Sendable {
        /// The peer asks: send these bytes back.
        case asked(UInt64)
        /// The peer has answered the PING with these bytes.
        case answered(UInt64)
    }

    /// The answer to the peer's PING waits to be written.
    private var owesAnswer = false
    /// What this side's PING said that is not answered.
    private(set) var unanswered: UInt64?
    private var next: UInt64 = 1

    /// A PING frame has arrived.
    mutating func receive(_ header: FrameHeader, _ payload: RawSpan) throws(ProtocolError) -> Event {
        let bytes: UInt64
        do {
            bytes = try payload.bigEndian(UInt64.self, at: 0)
        } catch {
            throw ProtocolError(.violation, "A PING is cut short (P-48): \(error).")
        }
        if header.flags & FrameHeader.acknowledgement != 0 {
            guard bytes == unanswered else {
                throw ProtocolError(.violation, "A PING answers one that was not sent (P-49).")
            }
            unanswered = nil
            return .answered(bytes)
        }
        guard !owesAnswer else {
            throw ProtocolError(.excessiveLoad, "A PING came before the answer to the last one could be sent (P-49).")
        }
        owesAnswer = true
        return .asked(bytes)
    }

    /// The answer to the peer's PING was written to the carrier.
    mutating func answerWritten() {
        owesAnswer = false
    }

    /// What a PING of this side says, to be sent now; nil while another is not answered.
    mutating func send() -> UInt64? {
        guard unanswered == nil else { return nil }
        defer { next &+= 1 }
        unanswered = next
        return next
    }
}

/// Cuts what a connection receives into a preface and frames.
///
/// It holds no bytes. Its owner collects exactly ``bytesNeeded`` of them, wherever he keeps them, and hands them in; a
/// payload is never copied here. The length of a frame is checked when its header is there, before anybody waits, or
/// finds room, for the payload.
public struct FrameParser: Sendable {
    /// What was handed in.
    public enum Piece: Hashable, Sendable {
        case preface(Preface)
        /// A header; the next piece is its payload, which may be of no bytes.
        case header
        /// The payload of the frame with this header.
        case payload(FrameHeader)
    }

    private enum Expected {
        case preface
        case header
        case payload(FrameHeader)
    }

    private var expected = Expected.preface
    private let maximumLength: UInt32

    /// `maximumLength` is the longest payload that this side accepts.
    public init(maximumLength: UInt32) {
        self.maximumLength = maximumLength
    }

    /// How many bytes the next call of ``next(_:)`` takes. 0 means that it can be called at once.
    public var bytesNeeded: Int {
        switch expected {
        case .preface: Preface.byteCount
        case .header: FrameHeader.byteCount
        case .payload(let header): Int(header.length)
        }
    }

    /// Whether a header has been taken whose payload has not.
    var isWithinFrame: Bool {
        if case .payload = expected { true } else { false }
    }

    /// Takes exactly ``bytesNeeded`` bytes.
    public mutating func next(_ bytes: RawSpan) throws(ProtocolError) -> Piece {
        switch expected {
        case .preface:
            let preface = try Preface(decoding: bytes)
            expected = .header
            return .preface(preface)
        case .header:
            expected = .payload(try FrameHeader(decoding: bytes, maximumLength: maximumLength))
            return .header
        case .payload(let header):
            expected = .header
            return .payload(header)
        }
    }
}

/// What a frame means that names a stream which is not open.
enum PeerStreamCheck {
    /// The frame crossed with this side's end of the stream: it is ignored. Throws for any other stream.
    static func tolerate(
        _ header: FrameHeader,
        recent: RecentStreams,
        highest: StreamID
    ) throws(ProtocolError) {
        guard header.stream <= highest, header.stream % 2 == 1 else {
            throw ProtocolError(.stream, "A \(header.type) names stream \(header.stream), never opened (P-21).")
        }
        guard recent.contains(header.stream) else {
            throw ProtocolError(.stream, "A \(header.type) names stream \(header.stream), which is closed (P-22).")
        }
    }
}

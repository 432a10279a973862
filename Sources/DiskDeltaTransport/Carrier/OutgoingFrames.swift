internal import DiskDeltaProtocol
internal import NIOCore

/// Frames as buffers.
enum OutgoingFrames {
    /// A header alone: a frame without a payload, or the start of one whose payload, as long as it says, follows.
    static func bare(_ header: FrameHeader) -> ByteBuffer {
        var sink = BufferSink(capacity: FrameHeader.byteCount)
        header.encode(into: &sink)
        return sink.buffer
    }

    /// The preface and the SETTINGS of a side.
    static func greeting(_ settings: SettingsEntries) -> ByteBuffer {
        var sink = BufferSink(capacity: 64)
        Preface.current.encode(into: &sink)
        settings.header.encode(into: &sink)
        settings.encode(into: &sink)
        return sink.buffer
    }

    static func goAway(_ header: FrameHeader, _ payload: GoAwayPayload) -> ByteBuffer {
        frame(header, length: payload.byteCount) { payload.encode(into: &$0) }
    }

    static func ping(_ bytes: UInt64, isAnswer: Bool) -> ByteBuffer {
        frame(FrameHeader(.ping, flags: isAnswer ? FrameHeader.acknowledgement : 0), length: 8) {
            $0.append(bigEndian: bytes)
        }
    }

    static func end(_ stream: StreamID, status: UInt32, _ payload: EndPayload) -> ByteBuffer {
        frame(FrameHeader(.end, stream: stream, aux: status), length: payload.byteCount) { payload.encode(into: &$0) }
    }

    /// The payload of an OPEN. Its header, written before it, is known only when the stream is.
    static func openPayload(_ payload: OpenPayload, _ request: MessageEncoding) -> ByteBuffer {
        var sink = BufferSink(capacity: payload.byteCount + request.byteCount)
        payload.encode(into: &sink)
        sink.append(request)
        return sink.buffer
    }

    /// The payload of a DATA. Its header, written before it, is known only when its turn has come.
    static func dataPayload(_ message: MessageEncoding) -> ByteBuffer {
        var sink = BufferSink(capacity: message.byteCount)
        sink.append(message)
        return sink.buffer
    }

    private static func frame(
        _ header: FrameHeader,
        length: Int,
        _ payload: (inout BufferSink) -> Void
    ) -> ByteBuffer {
        var header = header
        header.length = UInt32(truncatingIfNeeded: length)
        var sink = BufferSink(capacity: FrameHeader.byteCount + length)
        header.encode(into: &sink)
        payload(&sink)
        return sink.buffer
    }
}

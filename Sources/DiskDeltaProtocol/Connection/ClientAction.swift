/// What the owner of a ``ClientConnection`` does next.
public enum ClientAction: Hashable, Sendable {
    /// Nothing.
    case none
    /// The server's SETTINGS are there: calls can be opened to their full limits.
    case ready
    /// The bytes just handed in are a message of the stream. When its reader has taken it, say
    /// ``ClientConnection/consumed(_:byteCount:)``.
    case message(StreamID)
    /// The call has ended with this status, 0 to 16.
    case end(StreamID, status: UInt32, EndPayload)
    /// The server cancelled the call. The reason is a status, 1 to 16, or ``FrameHeader/refused``.
    case cancelled(StreamID, reason: UInt32)
    /// Send the bytes back as a PING with the flag ACK; say ``ClientConnection/pingAnswered()`` when they are written.
    case answerPing(UInt64)
    /// Send a PING with these bytes.
    case sendPing(UInt64)
    /// The server is leaving. It did not take up the first streams: they can be asked again without harm. Those in
    /// `failed` were under way; they are named where the code is an error, and the connection is then to be closed.
    case serverLeaves(GoAwayPayload, notTakenUp: [StreamID], failed: [StreamID])
    /// The server says nothing any more: close. The streams have failed (P-84).
    case dead(streams: [StreamID])
    /// Send GOAWAY where the error has a code for it, then close. The streams have failed.
    case fail(ProtocolError, streams: [StreamID])
}

/// Why a client cannot open a call on a connection.
public enum OpenRefusal: Error, Hashable, Sendable {
    /// The connection is closed, or one of the sides is leaving.
    case closed
    /// As many calls are open as the connection allows.
    case streamLimit(Int)
    /// The request is longer than the server accepts.
    case requestTooLong(maximum: Int)
}

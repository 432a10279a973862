/// What the owner of a ``ServerConnection`` does next.
public enum ServerAction: Hashable, Sendable {
    /// Nothing.
    case none
    /// Send the preface and the SETTINGS of this side.
    case sendPreface
    /// The handshake is over: no longer watch its time.
    case ready
    /// Start a call. The request is what stands in the bytes just handed in from `payload.byteCount` on.
    case open(StreamID, OpenPayload, timeout: Duration?)
    /// Send CANCEL (REFUSED).
    case refuse(StreamID)
    /// Stop the handler of the stream; it is closed.
    case cancel(StreamID)
    /// Send the bytes back as a PING with the flag ACK; say ``ServerConnection/pingAnswered()`` when they are written.
    case answerPing(UInt64)
    /// The client is leaving. It says why; an error fails all streams, and the connection is to be closed.
    case clientLeaves(GoAwayPayload)
    /// Send GOAWAY where the error has a code for it, after the preface and SETTINGS if
    /// ``ServerConnection/hasSentPreface`` is false, then close. All streams have failed.
    case fail(ProtocolError)
}

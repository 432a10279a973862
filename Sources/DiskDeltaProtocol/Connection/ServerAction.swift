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
    /// The client has not read for too long: the stream is closed. Send END (UNAVAILABLE) with the offset to resume from,
    /// and stop the handler (P-89).
    case stalled(StreamID)
    /// Send the bytes back as a PING with the flag ACK; say ``ServerConnection/pingAnswered()`` when they are written.
    case answerPing(UInt64)
    /// Send a PING with these bytes.
    case sendPing(UInt64)
    /// Send GOAWAY with this header, without its length, and behind it PING with these bytes where there are any (P-85).
    case goAway(FrameHeader, GoAwayPayload, ping: UInt64?)
    /// The client is leaving. It says why; an error fails all streams, and the connection is to be closed.
    case clientLeaves(GoAwayPayload)
    /// The client says nothing any more: close. All streams have failed (P-84).
    case dead
    /// Send GOAWAY where the error has a code for it, after the preface and SETTINGS if
    /// ``ServerConnection/hasSentPreface`` is false, then close. All streams have failed.
    case fail(ProtocolError)
}

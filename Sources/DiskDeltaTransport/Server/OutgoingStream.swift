internal import DiskDeltaProtocol
internal import NIOCore

/// The way from the task of a call to its connection.
struct OutgoingStream: Sendable {
    let stream: StreamID
    let eventLoop: any EventLoop
    let handler: NIOLoopBound<ServerConnectionHandler>

    /// Waits until a message of the largest kind may be made (P-43). False once the stream is closed.
    func waitForCredit() async -> Bool {
        await withCheckedContinuation { continuation in
            eventLoop.execute { handler.value.waitForCredit(stream, continuation) }
        }
    }

    /// Sends a message, for which there must be credit, and waits until the next may be made. One hop serves both.
    ///
    /// - Parameter position: What of a range answer is answered for with this message.
    func send(_ message: ByteBuffer, position: UInt64?) async -> Bool {
        await withCheckedContinuation { continuation in
            eventLoop.execute {
                handler.value.send(message, on: stream, position: position)
                handler.value.waitForCredit(stream, continuation)
            }
        }
    }

    /// The handler has returned, with this outcome, and has found so many ranges.
    ///
    /// - Parameter isEarly: Whether the protocol ended the call, rather than its service (P-58).
    func finish(_ outcome: Result<StatusDetails, CallError>, ranges: UInt64, isEarly: Bool = false) {
        eventLoop.execute { handler.value.handlerReturned(stream, outcome, ranges: ranges, isEarly: isEarly) }
    }
}

internal import NIOCore

/// Ends a connection so that what was written last arrives: when all is written the sending direction is ended, and the
/// rest comes when the peer has closed too, or after a second (P-54). Closing at once, with bytes of the peer unread, would
/// make the system destroy what the peer has not read.
enum GracefulClose {
    /// How long a peer may take to read what is written.
    private static let patience = TimeAmount.seconds(5)

    static func begin(_ context: ChannelHandlerContext) {
        let channel = context.channel
        let eventLoop = context.eventLoop
        let written = eventLoop.makePromise(of: Void.self)
        context.flush()
        context.close(mode: .output, promise: written)
        let close: @Sendable () -> Void = { channel.close(mode: .all, promise: nil) }
        written.futureResult.whenComplete { _ in eventLoop.scheduleTask(in: .seconds(1), close) }
        eventLoop.scheduleTask(in: patience, close)
    }
}

internal import NIOCore

/// Ends a connection so that what was written last arrives: when all is written the sending direction is ended, and the
/// rest comes when the peer has closed too, or after a second (P-54). Closing at once, with bytes of the peer unread, would
/// make the system destroy what the peer has not read.
enum GracefulClose {
    /// How long a peer may take to read what is written.
    private static let patience = TimeAmount.seconds(5)

    static func begin(_ context: ChannelHandlerContext) {
        let channel = context.channel
        let written = context.eventLoop.makePromise(of: Void.self)
        context.flush()
        context.close(mode: .output, promise: written)
        written.futureResult.whenComplete { _ in close(channel, in: .seconds(1)) }
        close(channel, in: patience)
    }

    private static func close(_ channel: any Channel, in time: TimeAmount) {
        let timer = channel.eventLoop.scheduleTask(in: time) { channel.close(mode: .all, promise: nil) }
        channel.closeFuture.whenComplete { _ in timer.cancel() }
    }
}

internal import NIOCore

/// Ends a connection so that what was written last arrives: the sending direction is ended, and the rest comes when the
/// peer has closed too, or after a second (P-54). Closing at once, with bytes of the peer unread, would make the system
/// destroy what the peer has not read.
enum GracefulClose {
    static func begin(_ context: ChannelHandlerContext) {
        context.flush()
        context.close(mode: .output, promise: nil)
        let channel = context.channel
        context.eventLoop.scheduleTask(in: .seconds(1)) {
            channel.close(mode: .all, promise: nil)
        }
    }
}

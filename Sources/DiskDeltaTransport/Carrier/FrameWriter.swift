internal import NIOCore

/// Writes frames to a channel. What one turn of its event loop writes is flushed together.
final class FrameWriter {
    /// How many bytes of control frames may wait for a peer that does not read.
    static let maximumBacklog = 1 << 20

    private var context: ChannelHandlerContext?
    private var isFlushScheduled = false
    private var backlog = 0

    init(_ context: ChannelHandlerContext) {
        self.context = context
    }

    /// Writes a frame, or a part of one.
    func write(_ frame: ByteBuffer) {
        guard let context else { return }
        context.write(NIOAny(frame), promise: nil)
        guard !isFlushScheduled else { return }
        isFlushScheduled = true
        let this = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.execute {
            this.value.isFlushScheduled = false
            this.value.context?.flush()
        }
    }

    /// Writes a frame that no credit bounds. False where so many of them wait that the peer must be given up: DATA waits
    /// for credit and for the channel, but a peer that asks and does not read could make these fill the memory.
    func writeUnpaid(_ frame: ByteBuffer) -> Bool {
        guard let context else { return true }
        backlog = context.channel.isWritable ? 0 : backlog + frame.readableBytes
        write(frame)
        return backlog <= Self.maximumBacklog
    }

    /// Answers a PING, at once; `written` follows when the carrier has taken it.
    func answerPing(_ bytes: UInt64, written: @escaping () -> Void) {
        guard let context else { return }
        context.writeAndFlush(NIOAny(OutgoingFrames.ping(bytes, isAnswer: true))).assumeIsolated()
            .whenComplete { _ in written() }
    }

    /// The channel is gone.
    func detach() {
        context = nil
    }
}

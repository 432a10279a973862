import NIOCore
import NIOEmbedded
import Testing

@testable import DiskDeltaTransport

/// What is written in one turn goes out together, and what waits for a peer that does not read is bounded.
struct FrameWriterTests {
    private final class Holder: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        var writer: FrameWriter?

        func handlerAdded(context: ChannelHandlerContext) { writer = FrameWriter(context) }
        func handlerRemoved(context: ChannelHandlerContext) { writer?.detach() }
    }

    private let frame = ByteBuffer(bytes: [UInt8](repeating: 0, count: 1_000))

    @Test func oneTurnIsFlushedTogether() throws {
        let holder = Holder()
        let channel = EmbeddedChannel(handler: holder)
        for _ in 0..<10 { holder.writer?.write(frame) }
        #expect(try channel.readOutbound(as: ByteBuffer.self) == nil)
        channel.embeddedEventLoop.run()
        var count = 0
        while try channel.readOutbound(as: ByteBuffer.self) != nil { count += 1 }
        #expect(count == 10)
        _ = try channel.finish()
    }

    @Test func aPeerThatDoesNotReadIsGivenUp() throws {
        let holder = Holder()
        let channel = EmbeddedChannel(handler: holder)
        for _ in 0..<10_000 {
            let isFine = holder.writer?.writeUnpaid(frame)
            #expect(isFine == true)
        }
        channel.isWritable = false
        let fitting = FrameWriter.maximumBacklog / 1_000
        for index in 0..<fitting {
            let isFine = holder.writer?.writeUnpaid(frame)
            #expect(isFine == true, "\(index)")
            // What is paid for does not count.
            holder.writer?.write(frame)
        }
        let isTooMuch = holder.writer?.writeUnpaid(frame)
        #expect(isTooMuch == false)
        channel.isWritable = true
        let isForgotten = holder.writer?.writeUnpaid(frame)
        #expect(isForgotten == true)
        _ = try channel.finish(acceptAlreadyClosed: true)
    }
}

import DiskDeltaTLS
import NIOCore
import NIOEmbedded
import NIOTLS
import TestSupport
import Testing

@Suite(
    "TLS in a channel",
    .enabled(if: TestCertificates.canBeMade, "\(TestCertificates.absence)"),
    .timeLimit(.minutes(2))
)
struct TLSHandlerTests {
    /// Remembers what passes, in order.
    private final class Recorder: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        var log: [String] = []
        var bytes: [UInt8] = []
        var onHandshake: ((ChannelHandlerContext) -> Void)?

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            bytes += unwrapInboundIn(data).readableBytesView
            log.append("read")
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            switch event as? TLSUserEvent {
            case .handshakeCompleted(let agreed):
                log.append("handshake \(agreed ?? "none")")
                onHandshake?(context)
            case .shutdownCompleted: log.append("shutdown")
            case nil: break
            }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            log.append("error \((error as? TLSError).map { "\($0.kind)" } ?? "\(error)")")
        }

        func channelInactive(context: ChannelHandlerContext) {
            log.append("inactive")
        }
    }

    /// Half a connection, which an embedded channel does not have.
    private final class HalfClosure: ChannelOutboundHandler {
        typealias OutboundIn = ByteBuffer

        var isOutputClosed = false

        func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
            guard mode == .output else { return context.close(mode: mode, promise: promise) }
            isOutputClosed = true
            promise?.succeed()
        }
    }

    /// Two channels on one loop, and what passed at their upper ends.
    private final class Channels {
        let loop = EmbeddedEventLoop()
        let client: EmbeddedChannel
        let server: EmbeddedChannel
        let atClient = Recorder()
        let atServer = Recorder()
        let belowServer = HalfClosure()

        init(_ clientContext: TLSContext, _ serverContext: TLSContext) throws {
            client = EmbeddedChannel(loop: loop)
            server = EmbeddedChannel(loop: loop)
            let pipelines = (client.pipeline.syncOperations, server.pipeline.syncOperations)
            try pipelines.0.addHandlers(TLSHandler(clientContext, peer: TLSPeerName("localhost")), atClient)
            try pipelines.1.addHandlers(belowServer, TLSHandler(serverContext), atServer)
        }

        func connect() throws {
            let address = try SocketAddress(ipAddress: "127.0.0.1", port: 1)
            client.connect(to: address, promise: nil)
            server.connect(to: address, promise: nil)
            try exchange()
        }

        /// Carries until nobody has anything to say.
        func exchange() throws {
            var isQuiet = false
            while !isQuiet {
                isQuiet = true
                loop.run()
                while server.isActive, let output = try client.readOutbound(as: ByteBuffer.self) {
                    isQuiet = false
                    _ = try? server.writeInbound(output)
                }
                while client.isActive, let output = try server.readOutbound(as: ByteBuffer.self) {
                    isQuiet = false
                    _ = try? client.writeInbound(output)
                }
            }
        }
    }

    private let certificates: TestCertificates

    init() throws { certificates = try TestCertificates.shared() }

    private func connected(clients: TLSContext.ClientCertificates = .none) throws -> Channels {
        let channels = try Channels(try Contexts.client(), try Contexts.server(clients: clients))
        try channels.connect()
        return channels
    }

    @Test("What is written before the handshake is sent behind it, and promises are kept when it is on its way")
    func earlyWrites() throws {
        let channels = try Channels(try Contexts.client(), try Contexts.server())
        var kept: [Int] = []
        for number in 0..<3 {
            channels.client.write(ByteBuffer(string: "\(number)")).assumeIsolated().whenSuccess { kept.append(number) }
        }
        channels.client.flush()
        channels.loop.run()
        #expect(kept.isEmpty)
        try channels.connect()
        #expect(channels.atServer.log == ["handshake diskdelta/1", "read"])
        #expect(channels.atServer.bytes == Array("012".utf8))
        #expect(kept == [0, 1, 2])
        // What is not flushed stays.
        channels.server.write(ByteBuffer(string: "a"), promise: nil)
        try channels.exchange()
        #expect(channels.atClient.bytes.isEmpty)
        channels.server.flush()
        try channels.exchange()
        #expect(channels.atClient.bytes == Array("a".utf8))
    }

    @Test("Writes of any length arrive as they were, in order, and short ones share records")
    func packing() throws {
        let channels = try connected()
        for seed in 1...30 as ClosedRange<UInt64> {
            var random = RepeatableGenerator(seed: seed)
            var sent: [UInt8] = []
            for _ in 0..<Int.random(in: 1...12, using: &random) {
                let longest = [20, 16_384, 40_000, 3_000_000][Int.random(in: 0..<4, using: &random) & Int(seed)]
                let count = Int.random(in: 0...longest, using: &random)
                let bytes = [UInt8](repeating: UInt8.random(in: 0...255, using: &random), count: count)
                channels.server.write(ByteBuffer(bytes: bytes), promise: nil)
                sent += bytes
            }
            channels.server.flush()
            channels.atClient.bytes = []
            try channels.exchange()
            #expect(channels.atClient.bytes == sent, "seed \(seed)")
        }
        for _ in 0..<1_000 { channels.server.write(ByteBuffer(repeating: 1, count: 16), promise: nil) }
        channels.server.flush()
        let output = try #require(try channels.server.readOutbound(as: ByteBuffer.self))
        #expect(output.readableBytes < 16_000 + 64)
    }

    @Test("The end of TLS is answered, and both close")
    func closing() throws {
        let channels = try connected()
        var isClosed = false
        channels.client.close().assumeIsolated().whenSuccess { isClosed = true }
        #expect(!isClosed && channels.client.isActive)
        try channels.exchange()
        #expect(isClosed)
        #expect(channels.atServer.log == ["handshake diskdelta/1", "shutdown", "inactive"])
        #expect(channels.atClient.log == ["handshake diskdelta/1", "shutdown", "inactive"])
    }

    @Test("A peer that does not answer the end is waited for a second, and not heard")
    func noAnswer() throws {
        let channels = try connected()
        var isClosed = 0
        for _ in 0..<2 { channels.server.close().assumeIsolated().whenSuccess { isClosed += 1 } }
        let write = channels.server.writeAndFlush(ByteBuffer(string: "late"))
        channels.client.writeAndFlush(ByteBuffer(string: "unheard"), promise: nil)
        while let output = try channels.client.readOutbound(as: ByteBuffer.self) {
            try channels.server.writeInbound(output)
        }
        #expect(channels.atServer.bytes.isEmpty)
        channels.loop.advanceTime(by: .milliseconds(999))
        #expect(isClosed == 0)
        channels.loop.advanceTime(by: .milliseconds(1))
        #expect(isClosed == 2 && !channels.server.isActive)
        #expect(throws: ChannelError.self) { try write.wait() }
    }

    @Test("A connection that ends without the end of TLS is an error, before and after the handshake")
    func cut() throws {
        let channels = try connected()
        channels.client.pipeline.fireChannelInactive()
        #expect(channels.atClient.log == ["handshake diskdelta/1", "error cut", "inactive"])
        channels.server.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        #expect(channels.atServer.log == ["handshake diskdelta/1", "error cut"])
        let early = try Channels(try Contexts.client(), try Contexts.server())
        early.client.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
        let write = early.client.writeAndFlush(ByteBuffer(string: "x"))
        early.client.pipeline.fireChannelInactive()
        #expect(early.atClient.log == ["error cutInHandshake", "inactive"])
        #expect(throws: ChannelError.self) { try write.wait() }
    }

    @Test("A server that refuses a client stays until that has heard why; the client does not wait")
    func refusal() throws {
        let channels = try connected(clients: .required(try certificates.authority.certificates()))
        #expect(channels.atServer.log == ["error noCertificate"])
        #expect(channels.atClient.log == ["handshake diskdelta/1", "error alert(116)", "inactive"])
        #expect(channels.server.isActive && channels.belowServer.isOutputClosed)
        channels.loop.advanceTime(by: .seconds(1))
        #expect(channels.atServer.log == ["error noCertificate", "inactive"])
    }

    @Test("The sending side can be ended alone: the other still hears, and is heard until it ends its own")
    func halfClosure() throws {
        let channels = try connected()
        channels.server.write(ByteBuffer(string: "last words"), promise: nil)
        var isEnded = false
        channels.server.close(mode: .output).assumeIsolated().whenSuccess { isEnded = true }
        #expect(isEnded && channels.belowServer.isOutputClosed && channels.server.isActive)
        channels.client.writeAndFlush(ByteBuffer(string: "still heard"), promise: nil)
        let late = channels.server.writeAndFlush(ByteBuffer(string: "too late"))
        #expect(throws: ChannelError.self) { try late.wait() }
        try channels.exchange()
        #expect(channels.atClient.bytes == Array("last words".utf8))
        #expect(channels.atServer.bytes == Array("still heard".utf8))
        #expect(!channels.server.isActive && !channels.client.isActive)
    }

    @Test("A client that asks for new keys over and over, and reads nothing, is given up")
    func keysUnread() throws {
        let channel = EmbeddedChannel()
        let recorder = Recorder()
        try channel.pipeline.syncOperations.addHandlers(TLSHandler(try Contexts.server()), recorder)
        channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
        let client = try RawClient()
        for _ in 0..<4 {
            client.shakeHands()
            try channel.writeInbound(client.takeOutput())
            while let output = try channel.readOutbound(as: ByteBuffer.self) { client.receive(output) }
        }
        #expect(recorder.log == ["handshake diskdelta/1"] || recorder.log == ["handshake none"])
        // While it reads it may ask as often as it likes, as long as it says something besides.
        for isWritable in [true, false] {
            channel.isWritable = isWritable
            for _ in 0..<4_000 where channel.isActive {
                let keys = client.updateKeys()
                client.send("x")
                _ = try? channel.writeInbound(keys)
                _ = try? channel.writeInbound(client.takeOutput())
            }
            #expect(channel.isActive == isWritable)
        }
        #expect(recorder.bytes.count > 4_000)
        #expect(recorder.log.contains("error other"))
    }

    @Test("Whoever closes when he hears of the handshake hears nothing more")
    func closedAtOnce() throws {
        let channels = try Channels(try Contexts.client(), try Contexts.server())
        channels.atServer.onHandshake = { $0.close(promise: nil) }
        channels.client.writeAndFlush(ByteBuffer(string: "too late"), promise: nil)
        try channels.connect()
        #expect(channels.atServer.bytes.isEmpty)
        #expect(!channels.server.isActive && !channels.client.isActive)
    }
}

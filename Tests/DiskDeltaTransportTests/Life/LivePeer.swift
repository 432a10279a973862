import DiskDeltaProtocol
import DiskDeltaTransport
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// A client by hand: it sends what it is told, and shows what has come so far. It answers nothing by itself.
final class LivePeer: Sendable {
    typealias Frame = (header: FrameHeader, payload: [UInt8])

    private let channel: any Channel
    private let received: NIOLockedValueBox<[UInt8]>

    private init(_ channel: any Channel, _ received: NIOLockedValueBox<[UInt8]>) {
        self.channel = channel
        self.received = received
    }

    /// Connects, and sends preface and SETTINGS.
    static func connect(to endpoint: Endpoint, _ settings: ClientSettings = .default) async throws -> LivePeer {
        guard case .tcp(let host, let port) = endpoint else { throw BindFailure() }
        let received = NIOLockedValueBox<[UInt8]>([])
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.syncOptions?.setOption(.tcpOption(.tcp_nodelay), value: 1)
                    try channel.pipeline.syncOperations.addHandler(Gatherer(received))
                }
            }
            .connect(host: host, port: port).get()
        let peer = LivePeer(channel, received)
        await peer.send(Wire.greeting(settings.entries))
        return peer
    }

    /// Listens, and sends these bytes to everybody who comes. It reads what they say, and says no more.
    static func listen(_ greeting: [UInt8]) async throws -> (Endpoint, any Channel) {
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Gatherer(NIOLockedValueBox([]), greeting))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return (.tcp(host: "127.0.0.1", port: channel.localAddress?.port ?? 0), channel)
    }

    /// Sends bytes. The other side may have closed already; what it said is what counts.
    func send(_ bytes: [UInt8]) async {
        try? await channel.writeAndFlush(ByteBuffer(bytes: bytes))
    }

    /// The whole frames that have come.
    var frames: [Frame] {
        var frames: [Frame] = []
        var rest = received.withLockedValue { $0.dropFirst(Preface.byteCount) }
        while rest.count >= FrameHeader.byteCount {
            let bytes = Array(rest.prefix(FrameHeader.byteCount))
            guard let header = try? FrameHeader(decoding: bytes.span.bytes, maximumLength: FrameHeader.hardCap),
                rest.count - FrameHeader.byteCount >= Int(header.length)
            else { break }
            rest = rest.dropFirst(FrameHeader.byteCount)
            frames.append((header, Array(rest.prefix(Int(header.length)))))
            rest = rest.dropFirst(Int(header.length))
        }
        return frames
    }

    /// Waits until what has come is as it should be; the time limit of the test ends it otherwise.
    @discardableResult
    func until(_ condition: ([Frame]) -> Bool) async throws -> [Frame] {
        while true {
            let frames = frames
            if condition(frames) { return frames }
            try await Task.sleep(for: .milliseconds(2))
        }
    }

    /// The PINGs that ask for an answer, so far.
    var questions: [Frame] {
        frames.filter { $0.header.type == .ping && $0.header.flags == 0 }
    }

    /// Answers the question with this number, from 0, when it has come.
    func answer(question index: Int) async throws {
        try await until { _ in questions.count > index }
        await send(Wire.frame(.ping, flags: FrameHeader.acknowledgement, questions[index].payload))
    }

    /// The streams that the GOAWAYs so far name.
    var goAways: [StreamID] {
        frames.filter { $0.header.type == .goAway }.map(\.header.aux)
    }

    /// The last GOAWAY.
    var goAway: GoAwayPayload? {
        get throws {
            guard let payload = frames.last(where: { $0.header.type == .goAway })?.payload else { return nil }
            return try GoAwayPayload(decoding: payload.span.bytes)
        }
    }

    /// Waits until the other side has closed, and returns all that came.
    @discardableResult
    func untilClosed() async throws -> [Frame] {
        try await channel.closeFuture.get()
        return frames
    }

    func close() async {
        try? await channel.close()
    }

    private struct BindFailure: Error {}
}

private final class Gatherer: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let received: NIOLockedValueBox<[UInt8]>
    private let greeting: [UInt8]

    init(_ received: NIOLockedValueBox<[UInt8]>, _ greeting: [UInt8] = []) {
        self.received = received
        self.greeting = greeting
    }

    func channelActive(context: ChannelHandlerContext) {
        if !greeting.isEmpty { context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: greeting)), promise: nil) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data).readableBytesView
        received.withLockedValue { $0 += bytes }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}

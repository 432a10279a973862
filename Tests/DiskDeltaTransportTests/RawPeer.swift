import DiskDeltaProtocol
import DiskDeltaTransport
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// A peer that sends whatever bytes it is told to, and collects what it receives.
enum RawPeer {
    /// Connects, sends the bytes at once or in pieces, and returns all that came until the other side closed.
    static func talk(to endpoint: Endpoint, _ bytes: [UInt8], step: Int = .max) async throws -> [UInt8] {
        guard case .tcp(let host, let port) = endpoint else { return [] }
        let received = MultiThreadedEventLoopGroup.singleton.next().makePromise(of: [UInt8].self)
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.syncOptions?.setOption(.tcpOption(.tcp_nodelay), value: 1)
                    try channel.pipeline.syncOperations.addHandler(Collector(received))
                }
            }
            .connect(host: host, port: port).get()
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = rest.prefix(step)
            rest = rest.dropFirst(piece.count)
            // The other side may have closed already; what it said is what counts.
            try? await channel.writeAndFlush(ByteBuffer(bytes: piece))
        }
        return try await received.futureResult.get()
    }

    /// A server that answers each connection by a script, one after the other: first the opening bytes, and the rest once
    /// the client has sent its first call. Then it closes.
    static func serve(_ scripts: [(opening: [UInt8], rest: [UInt8])]) async throws -> (Endpoint, any Channel) {
        let next = NIOLockedCounter()
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: 64)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let script = scripts[min(next.take(), scripts.count - 1)]
                    try channel.pipeline.syncOperations.addHandler(Replayer(script.opening, script.rest))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return (.tcp(host: "127.0.0.1", port: channel.localAddress?.port ?? 0), channel)
    }
}

private final class Collector: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    let received: EventLoopPromise<[UInt8]>
    private var bytes: [UInt8] = []

    init(_ received: EventLoopPromise<[UInt8]>) {
        self.received = received
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        bytes += unwrapInboundIn(data).readableBytesView
    }

    func channelInactive(context: ChannelHandlerContext) {
        received.succeed(bytes)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}

private final class Replayer: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let opening: [UInt8]
    private let rest: [UInt8]
    private var receivedCount = 0
    private var hasAnswered = false

    init(_ opening: [UInt8], _ rest: [UInt8]) {
        self.opening = opening
        self.rest = rest
    }

    func channelActive(context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: opening)), promise: nil)
        if rest.isEmpty { context.close(mode: .output, promise: nil) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        receivedCount += unwrapInboundIn(data).readableBytes
        // What a client sends before its first call: the preface and SETTINGS with three entries.
        guard receivedCount > 16 + 16 + 24, !hasAnswered, !rest.isEmpty else { return }
        hasAnswered = true
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: rest)), promise: nil)
        context.close(mode: .output, promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}

/// Counts from 0.
private final class NIOLockedCounter: Sendable {
    private let value = NIOLockedValueBox(0)

    func take() -> Int {
        value.withLockedValue { value in
            defer { value += 1 }
            return value
        }
    }
}

/// Frames as bytes.
enum Wire {
    static func greeting(_ settings: SettingsEntries = ClientSettings.default.entries) -> [UInt8] {
        var bytes: [UInt8] = []
        Preface.current.encode(into: &bytes)
        settings.header.encode(into: &bytes)
        settings.encode(into: &bytes)
        return bytes
    }

    static func frame(
        _ type: FrameType,
        stream: StreamID = 0,
        aux: UInt32 = 0,
        flags: UInt8 = 0,
        length: UInt32? = nil,
        _ payload: [UInt8] = []
    ) -> [UInt8] {
        let length = length ?? UInt32(payload.count)
        var bytes: [UInt8] = []
        FrameHeader(type, stream: stream, aux: aux, length: length, flags: flags).encode(into: &bytes)
        return bytes + payload
    }

    static func open(_ stream: StreamID, _ script: String) throws -> [UInt8] {
        var payload: [UInt8] = []
        OpenPayload(path: ScriptedService.method.path)?.encode(into: &payload)
        return frame(.open, stream: stream, payload + (try GetVirtualDiskChangesRequest(path: script).encode()))
    }

    /// A frame that makes the server close.
    static var unknown: [UInt8] { frame(FrameType(rawValue: 0x7E)) }

    /// More of it than any frame before can swallow.
    static var manyUnknown: [UInt8] { (0..<5_000).flatMap { _ in unknown } }

    /// The frames in what a server sent, without its preface.
    static func frames(_ bytes: [UInt8]) throws -> [(header: FrameHeader, payload: [UInt8])] {
        var frames: [(FrameHeader, [UInt8])] = []
        var rest = bytes.dropFirst(Preface.byteCount)
        while !rest.isEmpty {
            let header = try FrameHeader(
                decoding: Array(rest.prefix(16)).span.bytes,
                maximumLength: FrameHeader.hardCap
            )
            rest = rest.dropFirst(16)
            frames.append((header, Array(rest.prefix(Int(header.length)))))
            rest = rest.dropFirst(Int(header.length))
        }
        return frames
    }

    /// The GOAWAY that ends what a server sent.
    static func goAway(in bytes: [UInt8]) throws -> GoAwayPayload? {
        guard let last = try frames(bytes).last, last.header.type == .goAway else { return nil }
        return try GoAwayPayload(decoding: last.payload.span.bytes)
    }
}

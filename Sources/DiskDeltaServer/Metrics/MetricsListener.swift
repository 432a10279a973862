internal import DiskDeltaTransport
internal import Logging
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import Synchronization

/// Answers `GET /metrics` and `GET /healthz` over plain HTTP, to few and for a short time each.
final class MetricsListener: Sendable {
    struct Limits: Sendable {
        /// Connections at once; those beyond are closed.
        var connections = 16
        /// Bytes of a request, with its headers.
        var request = 8 << 10
        /// How long a connection lives, from its opening to the end of its answer.
        var time = Duration.seconds(10)
    }

    /// Where it listens, with the real port.
    let endpoint: Endpoint

    private let listener: any Channel
    private let connections: Connections

    private final class Connections: Sendable {
        let open = Mutex<[ObjectIdentifier: any Channel]>([:])
    }

    private init(_ listener: any Channel, _ endpoint: Endpoint, _ connections: Connections) {
        self.listener = listener
        self.endpoint = endpoint
        self.connections = connections
    }

    /// - Throws: `BindError` where it cannot listen there.
    static func bind(
        to endpoint: Endpoint,
        limits: Limits = Limits(),
        answer: @escaping @Sendable (MetricsPage) -> MetricsAnswer
    ) async throws(StartFailure) -> MetricsListener {
        guard case .tcp(let host, let port) = endpoint else {
            throw StartFailure(message: "metrics are served over TCP only, and \(endpoint) is something else")
        }
        let connections = Connections()
        let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: 16)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard take(channel, into: connections, limits) else {
                        channel.close(promise: nil)
                        return
                    }
                    try channel.pipeline.syncOperations.addHandler(RequestLimit(bytes: limits.request))
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline(
                        withPipeliningAssistance: false,
                        withErrorHandling: true
                    )
                    try channel.pipeline.syncOperations.addHandler(MetricsHandler(answer: answer))
                }
            }
        do {
            let listener = try await bootstrap.bind(host: host, port: port).get()
            let bound = Endpoint.tcp(
                host: listener.localAddress?.ipAddress ?? host,
                port: listener.localAddress?.port ?? port
            )
            return MetricsListener(listener, bound, connections)
        } catch {
            throw StartFailure(message: "cannot serve metrics on \(endpoint): \(error)")
        }
    }

    /// Closes the listener and what is open.
    func stop() async {
        try? await listener.close()
        for channel in connections.open.withLock({ Array($0.values) }) {
            channel.close(promise: nil)
        }
    }

    /// Counts a connection, and lets it end in time. False where there are too many.
    private static func take(_ channel: any Channel, into connections: Connections, _ limits: Limits) -> Bool {
        let id = ObjectIdentifier(channel)
        let isTaken = connections.open.withLock { open in
            guard open.count < limits.connections else { return false }
            open[id] = channel
            return true
        }
        guard isTaken else { return false }
        let end = channel.eventLoop.scheduleTask(in: TimeAmount(limits.time)) { channel.close(promise: nil) }
        channel.closeFuture.whenComplete { _ in
            end.cancel()
            connections.open.withLock { _ = $0.removeValue(forKey: id) }
        }
        return true
    }
}

/// Closes a connection on which more came than one request may have.
private final class RequestLimit: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private var rest: Int

    init(bytes: Int) { rest = bytes }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let count = unwrapInboundIn(data).readableBytes
        guard count <= rest else {
            context.close(promise: nil)
            return
        }
        rest -= count
        context.fireChannelRead(data)
    }
}

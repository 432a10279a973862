public import DiskDeltaProtocol
internal import DiskDeltaTLS
public import Logging
internal import NIOCore
internal import NIOPosix

/// Listens, and answers calls by the services of a router.
///
/// It serves from the moment ``bind(to:router:configuration:logger:)`` returns until ``stop()``, which must be called.
public final class RPCServer: Sendable {
    /// Where it listens, with the real ports: inherited sockets first, then the rest in the order asked for.
    public let endpoints: [Endpoint]

    private let listeners: [any Channel]
    private let connections: ConnectionTable
    private let configuration: ServerConfiguration
    private let logger: Logger

    private init(
        listeners: [any Channel],
        endpoints: [Endpoint],
        connections: ConnectionTable,
        configuration: ServerConfiguration,
        logger: Logger
    ) {
        self.listeners = listeners
        self.endpoints = endpoints
        self.connections = connections
        self.configuration = configuration
        self.logger = logger
    }

    /// Binds all the endpoints and serves, on them and on the sockets that are bound already. Port 0 takes any free port.
    ///
    /// Throws where an endpoint cannot be bound or the configuration is not allowed; nothing is bound then.
    public static func bind(
        to endpoints: [Endpoint],
        inheriting sockets: [InheritedSocket] = [],
        router: ServiceRouter,
        configuration: ServerConfiguration = ServerConfiguration(),
        logger: Logger = Logger(label: "diskdelta.server")
    ) async throws(BindError) -> RPCServer {
        do {
            try configuration.settings.validate()
        } catch {
            throw BindError(message: "the settings are not allowed: \(error)")
        }
        let pool = configuration.pool ?? FileWorkPool(threads: configuration.workerThreads)
        let table = ConnectionTable(configuration, pool: pool)
        let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: 256)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.writeBufferWaterMark, value: .init(low: 256 << 10, high: 512 << 10))
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let handler = ServerConnectionHandler(
                        router: router,
                        configuration: configuration,
                        pool: pool,
                        table: table,
                        logger: logger
                    )
                    try? channel.syncOptions?.setOption(.tcpOption(.tcp_nodelay), value: 1)
                    try addTLS(to: channel, before: handler, configuration, logger)
                    try channel.pipeline.syncOperations.addHandler(handler)
                    let connection = ConnectionTable.Connection(
                        channel: channel,
                        handler: NIOLoopBound(handler, eventLoop: channel.eventLoop)
                    )
                    register(connection, in: table, configuration.observer)
                }
            }
        var listeners: [any Channel] = []
        var bound: [Endpoint] = []
        let inherited = sockets.map { ($0.endpoint, Optional($0)) }
        for (endpoint, socket) in inherited + endpoints.map({ ($0, nil) }) {
            do {
                let listener = try await listen(bootstrap, endpoint, socket)
                listeners.append(listener)
                bound.append(Endpoint(listener.localAddress) ?? endpoint)
            } catch {
                for listener in listeners { try? await listener.close() }
                throw BindError(message: "cannot listen on \(endpoint): \(FailureText.of(error))")
            }
        }
        return RPCServer(
            listeners: listeners,
            endpoints: bound,
            connections: table,
            configuration: configuration,
            logger: logger
        )
    }

    /// Takes up no more connections, lets every client know, waits for the calls there are, at most for the grace period,
    /// ends those that are left with the offset to resume from, closes everything, and returns when it is closed (P-85,
    /// P-86). The services of calls that were ended may take a moment more to return.
    public func stop() async {
        for listener in listeners { try? await listener.close() }
        let open = connections.stop()
        for connection in open { connection.onEventLoop { $0.drain() } }
        let gracePeriod = configuration.gracePeriod
        let logger = logger
        let cut = Task {
            try await Task.sleep(for: gracePeriod)
            for connection in open where connection.channel.isActive {
                logger.notice("a connection is ended: its calls did not end within \(gracePeriod)")
                connection.onEventLoop { $0.endPatience() }
            }
        }
        for connection in open { try? await connection.channel.closeFuture.get() }
        cut.cancel()
    }

    /// Lets connections end in order whose certificates were verified under another state of trust than `trust`
    /// (``PeerCertificate/trust``), so that their clients connect again and prove anew who they are. Calls under way go on to
    /// their end.
    public func drainConnections(notVerifiedUnder trust: UInt64) {
        for connection in connections.open {
            connection.onEventLoop { handler in
                if let certificate = handler.caller.certificate, certificate.trust != trust { handler.drain() }
            }
        }
    }

    /// Protects a connection over TCP, where the server does.
    private static func addTLS(
        to channel: any Channel,
        before handler: ServerConnectionHandler,
        _ configuration: ServerConfiguration,
        _ logger: Logger
    ) throws {
        guard let tls = configuration.tls, channel.localAddress?.protocol != .unix else { return }
        let protection = tls.current()
        let handlerOfTLS = try TLSHandler(protection.context)
        let gate = TLSGate(
            handlerOfTLS,
            before: handler,
            trust: protection.trust,
            observer: configuration.observer,
            logger: logger
        )
        try channel.pipeline.syncOperations.addHandler(handlerOfTLS)
        try channel.pipeline.syncOperations.addHandler(gate)
    }

    private static func register(
        _ connection: ConnectionTable.Connection,
        in table: ConnectionTable,
        _ observer: (any ServerObserver)?
    ) {
        guard table.add(connection) else {
            observer?.connectionRefused()
            connection.channel.close(promise: nil)
            return
        }
        observer?.connectionAccepted()
        connection.channel.closeFuture.whenComplete { _ in
            table.remove(connection)
            observer?.connectionEnded()
        }
    }

    private static func listen(
        _ bootstrap: ServerBootstrap,
        _ endpoint: Endpoint,
        _ socket: InheritedSocket?
    ) async throws -> any Channel {
        if let socket { return try await bootstrap.withBoundSocket(socket.descriptor).get() }
        switch endpoint {
        case .tcp(let host, let port):
            return try await bootstrap.bind(host: host, port: port).get()
        case .unix(let path):
            // A socket that nobody answers was left by a server that did not end well; another's is not taken away.
            let probe = try? await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connect(unixDomainSocketPath: path).get()
            if let probe {
                try? await probe.close()
                throw BindError(message: "another server answers there")
            }
            return try await bootstrap.bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true).get()
        }
    }
}

/// Why a server cannot listen.
public struct BindError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A sentence that a person can act on.
    public let message: String

    public var description: String { message }
}

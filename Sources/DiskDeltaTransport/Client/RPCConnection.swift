public import DiskDeltaProtocol
public import Logging
internal import NIOCore
internal import NIOPosix

/// A connection to a server, over which any number of calls can be made at a time.
///
/// It does not connect again: once it is broken every call throws SERVER_UNAVAILABLE, and ``isOpen`` is false. It is
/// closed by ``close()``, which gives up its calls, or when nobody holds it or a call of it any more.
public final class RPCConnection: CallInvoker {
    /// The server.
    public let endpoint: Endpoint

    private let channel: any Channel
    private let handler: NIOLoopBound<ClientConnectionHandler>

    private let openness: Openness
    /// Whether nobody else can read what is sent: TLS, or this machine alone (P-82).
    private let isConfidential: Bool

    private init(
        _ endpoint: Endpoint,
        _ channel: any Channel,
        _ handler: NIOLoopBound<ClientConnectionHandler>,
        _ openness: Openness,
        isConfidential: Bool
    ) {
        self.endpoint = endpoint
        self.channel = channel
        self.handler = handler
        self.openness = openness
        self.isConfidential = isConfidential
    }

    deinit {
        onEventLoop { $0.leave() }
    }

    /// Runs `body` where the handler may be touched, a little later.
    func onEventLoop(_ body: @escaping @Sendable (ClientConnectionHandler) -> Void) {
        channel.eventLoop.execute { [handler] in body(handler.value) }
    }

    /// Connects, and waits until the server has answered.
    ///
    /// Throws SERVER_UNAVAILABLE where nobody answers in time, UNAUTHENTICATED where TLS finds that one side is not who it
    /// should be, ANSWER_INVALID where it is no DiskDelta server, INVALID_PARAMETER where the settings or the files of TLS cannot be used, and
    /// CANCELLED, at once, where the task is cancelled.
    /// - Parameters:
    ///   - settings: What the server is told. It bounds the memory that answers take while they are not read.
    ///   - times: How long the server is waited for: the handshakes of TLS and of the protocol, each, and its silence.
    ///   - connectTimeout: How long connecting may take, the look-up of the name included.
    ///   - tls: How the connection is protected; nil means not at all.
    public static func connect(
        to endpoint: Endpoint,
        settings: ClientSettings = .default,
        times: ClientTimes = ClientTimes(),
        connectTimeout: Duration = .seconds(10),
        tls: TLSOptions? = nil,
        logger: Logger = Logger(label: "diskdelta.client")
    ) async throws(CallError) -> RPCConnection {
        var protection: ClientTLS?
        if let tls { protection = try ClientTLS(tls, to: endpoint) }
        return try await connect(
            to: endpoint,
            settings: settings,
            times: times,
            connectTimeout: connectTimeout,
            protection: protection,
            logger: logger
        )
    }

    static func connect(
        to endpoint: Endpoint,
        settings: ClientSettings,
        times: ClientTimes,
        connectTimeout: Duration,
        protection: ClientTLS?,
        logger: Logger
    ) async throws(CallError) -> RPCConnection {
        do {
            try settings.validate()
        } catch {
            throw CallError(.invalidParameter, "the settings of the connection are not allowed: \(error)")
        }
        let openness = Openness()
        let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connectTimeout(TimeAmount(connectTimeout))
            .channelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(minimum: 4_096, initial: 65_536, maximum: 1 << 20)
            )
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try? channel.syncOptions?.setOption(.tcpOption(.tcp_nodelay), value: 1)
                    let pipeline = channel.pipeline.syncOperations
                    try protection?.install(in: pipeline, handshakeTimeout: times.handshake)
                    let handler = ClientConnectionHandler(
                        settings: settings,
                        times: times,
                        server: endpoint,
                        logger: logger,
                        openness: openness,
                        eventLoop: channel.eventLoop
                    )
                    try pipeline.addHandler(handler)
                }
            }
        do {
            let channel =
                switch endpoint {
                case .tcp(let host, let port): try await bootstrap.connect(host: host, port: port).unlessCancelled()
                case .unix(let path): try await bootstrap.connect(unixDomainSocketPath: path).unlessCancelled()
                }
            return try await withTaskCancellationHandler {
                let handler = try await channel.eventLoop.submit {
                    NIOLoopBound(
                        try channel.pipeline.syncOperations.handler(type: ClientConnectionHandler.self),
                        eventLoop: channel.eventLoop
                    )
                }.get()
                try await channel.eventLoop.flatSubmit { handler.value.ready.futureResult }.get()
                let isLocal = Endpoint(channel.remoteAddress)?.isLocal ?? endpoint.isLocal
                return RPCConnection(
                    endpoint,
                    channel,
                    handler,
                    openness,
                    isConfidential: protection != nil || isLocal
                )
            } onCancel: {
                channel.close(promise: nil)
            }
        } catch {
            if Task.isCancelled { throw CallError(.cancelled, "connecting to \(endpoint) was cancelled") }
            switch error {
            // The handler left the channel when that closed, and may have said why.
            case is ChannelPipelineError:
                throw openness.end?.error
                    ?? CallError(.serverUnavailable, "\(endpoint) closed the connection at once")
            case let error as CallError: throw error
            default: throw CallError(.serverUnavailable, "cannot connect to \(endpoint): \(FailureText.of(error))")
            }
        }
    }

    /// Whether calls can still be made, as far as is known: neither side has closed the connection or is leaving.
    public var isOpen: Bool { openness.isOpen }

    /// Since when no calls can be made; nil while they can.
    var end: ConnectionEnd? { openness.end }

    public func open(
        _ method: MethodDescriptor,
        request: some Message,
        options: CallOptions
    ) async throws(CallError) -> any OutstandingCall {
        if let timeout = options.timeout, timeout <= .zero {
            throw CallError(.deadline, "the time for \(method.path) was up before it began")
        }
        guard isConfidential || options.metadata[TokenAuthentication.key] == nil else {
            throw CallError(
                .invalidParameter,
                "a token is not sent to \(endpoint) without TLS: others could read it (P-82)"
            )
        }
        guard let payload = OpenPayload(path: method.path, metadata: options.metadata) else {
            throw CallError(.invalidParameter, "'\(method.path)' is not SERVICE/METHOD")
        }
        let bytes: ByteBuffer
        do {
            bytes = OutgoingFrames.openPayload(payload, try request.prepareEncoding())
        } catch {
            throw CallError(unencodableRequest: error)
        }
        let opened = await withCheckedContinuation { continuation in
            onEventLoop { continuation.resume(returning: $0.open(bytes, timeout: options.timeout)) }
        }
        let (stream, inbox) = try opened.get()
        return ClientCall(inbox, stream, self)
    }

    /// Gives up the calls there are, and returns when the connection is closed.
    public func close() async {
        onEventLoop { $0.leave() }
        try? await channel.closeFuture.get()
    }
}

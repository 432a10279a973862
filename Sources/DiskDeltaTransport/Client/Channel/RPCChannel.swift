public import DiskDeltaProtocol
public import Logging

/// One server, many calls, one connection at a time.
///
/// It connects when a call needs it, and again when the connection has ended; calls under way on an older connection that its
/// server is leaving go on to their end. A call fails at once while the last attempt to connect has failed and the next is
/// not due (``CallOptions/waitForReady`` makes it wait instead). A call that the server provably did not begin is made again
/// (P-93); no other is.
///
/// A channel that nobody holds any more ends when its calls have; ``close()`` gives them up.
public final class RPCChannel: CallInvoker {
    /// The server.
    public let endpoint: Endpoint

    let configuration: ChannelConfiguration
    private let connector: ConnectionMaker

    /// - Throws: INVALID_PARAMETER where the settings, or the files of TLS, cannot be used. Nothing is connected yet.
    public init(
        to endpoint: Endpoint,
        configuration: ChannelConfiguration = ChannelConfiguration(),
        logger: Logger = Logger(label: "diskdelta.client")
    ) throws(CallError) {
        do {
            try configuration.settings.validate()
        } catch {
            throw CallError(.invalidParameter, "the settings of the connection are not allowed: \(error)")
        }
        var protection: ClientTLS?
        if let tls = configuration.tls { protection = try ClientTLS(tls, to: endpoint) }
        self.endpoint = endpoint
        self.configuration = configuration
        connector = ConnectionMaker(endpoint, configuration.reconnecting) { [protection] () async throws(CallError) in
            try await RPCConnection.connect(
                to: endpoint,
                settings: configuration.settings,
                times: configuration.times,
                connectTimeout: configuration.connectTimeout,
                protection: protection,
                logger: logger
            )
        }
    }

    deinit {
        connector.abandon()
    }

    public func open(
        _ method: MethodDescriptor,
        request: some Message,
        options: CallOptions
    ) async throws(CallError) -> any OutstandingCall {
        let call = ChannelCall(self, method, options) { (connection, options) async throws(CallError) in
            try await connection.open(method, request: request, options: options)
        }
        try await call.begin()
        return call
    }

    /// Whether there is a connection that takes calls, as far as is known.
    public var isConnected: Bool { connector.isConnected }

    /// Connects, if there is no connection, and returns when there is one.
    ///
    /// Throws as a call would that cannot be made: see `options`.
    public func connect(options: CallOptions = CallOptions()) async throws(CallError) {
        _ = try await connection(ConnectionMaker.Patience(options, deadline: options.timeout.map { .now + $0 }))
    }

    /// Gives up all calls and returns when every connection is closed. Every later call throws CANCELLED.
    public func close() async {
        await connector.close()
    }

    func connection(_ patience: ConnectionMaker.Patience) async throws(CallError) -> RPCConnection {
        try await connector.connection(patience)
    }
}

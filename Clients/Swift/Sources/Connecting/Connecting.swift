public import DiskDeltaProtocol
internal import DiskDeltaTransport

/// Lends `body` a client that is connected to a server, and gives up its calls and closes it when `body` returns or throws.
///
/// - Parameters:
///   - address: `HOST:PORT`, `[V6]:PORT` or `unix:/path`.
///   - options: How the server is reached.
///   - timeout: How long the first connection may take; nil means `options.connectTimeout`, and five more seconds for each
///     handshake.
/// - Throws: INVALID_PARAMETER where the address is none or a file of TLS cannot be used, SERVER_UNAVAILABLE where nobody
///   answers, UNAUTHENTICATED where the server is not the one that TLS asks for or does not let this client in, DEADLINE where `timeout` passes, CANCELLED where the task is
///   cancelled; and what `body` throws.
public func withDiskDeltaClient<Result>(
    to address: String,
    options: ClientOptions = ClientOptions(),
    timeout: Duration? = nil,
    _ body: (DiskDeltaClient) async throws -> Result
) async throws -> Result {
    let client = try DiskDeltaClient(to: address, options: options)
    do {
        try await client.connect(options: CallOptions(timeout: timeout))
        let result = try await body(client)
        await client.close()
        return result
    } catch {
        await client.close()
        throw error
    }
}

extension DiskDeltaClient {
    /// A client of one server. It connects when a call needs it, and again when the connection has ended.
    ///
    /// ``close()`` ends it; so does letting it go, when its calls have ended. ``withDiskDeltaClient(to:options:timeout:_:)``
    /// does this by itself.
    ///
    /// - Parameter address: `HOST:PORT`, `[V6]:PORT` or `unix:/path`.
    /// - Throws: INVALID_PARAMETER where the address is none, or a file of TLS cannot be used.
    public init(to address: String, options: ClientOptions = ClientOptions()) throws(CallError) {
        let endpoint: Endpoint
        do {
            endpoint = try Endpoint(address)
        } catch {
            throw CallError(.invalidParameter, error.description)
        }
        var configuration = ChannelConfiguration()
        configuration.settings = options.settings
        configuration.connectTimeout = options.connectTimeout
        configuration.times = options.times
        configuration.tls = options.tls
        configuration.reconnecting = options.reconnecting
        let channel = try RPCChannel(to: endpoint, configuration: configuration, logger: options.logger)
        self.init(channel.intercepted(by: options.interceptors), ranges: options.ranges, channel: channel)
    }

    /// Connects, if there is no connection, and returns when there is one. Calls do this by themselves.
    ///
    /// - Parameter options: its `timeout`, `waitForReady` and `readyTimeout` say how long to wait.
    public func connect(options: CallOptions = CallOptions()) async throws(CallError) {
        try await channel?.connect(options: options)
    }

    /// Gives up the calls of this client and of its copies, and returns when the connection is closed. Calls made later throw
    /// CANCELLED. A client that was made of an invoker leaves that as it is.
    public func close() async {
        await channel?.close()
    }

    /// Whether only this machine can read what is sent to an address: a Unix socket, or a loopback address or name. A token
    /// is sent elsewhere only under TLS (P-82). False where the address is none.
    public static func isLocal(_ address: String) -> Bool {
        (try? Endpoint(address))?.isLocal ?? false
    }
}

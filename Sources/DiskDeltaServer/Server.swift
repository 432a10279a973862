internal import DiskDeltaProtocol
internal import DiskDeltaService
internal import DiskDeltaTransport
public import Logging
internal import Foundation

/// A running server: its services behind its listeners.
public final class Server: Sendable {
    /// The version of DiskDelta.
    public static let version = ServerDescription.version

    /// Where it listens, with the real ports.
    public let addresses: [String]

    private let transport: RPCServer
    private let operations: Operations
    private let security: Security
    /// Looks at the files of the security.
    private let watch: Task<Void, Never>
    private let logger: Logger

    private init(_ transport: RPCServer, _ operations: Operations, _ security: Security, logger: Logger) {
        self.transport = transport
        self.operations = operations
        self.security = security
        security.onTrustChange { transport.drainConnections(notVerifiedUnder: $0) }
        watch = Task { await security.watch() }
        self.logger = logger
        addresses = transport.endpoints.map(\.description)
    }

    /// Starts a server. When this returns it serves, until `stop()`.
    ///
    /// - Parameters:
    ///   - metrics: takes the server's figures, and tells them where the settings say so.
    ///   - audit: gets a line for each call, whatever the level of `logger`.
    /// - Throws: `SettingsError` for a setting that is not allowed; `StartFailure` where it cannot listen.
    public static func start(
        _ settings: Settings,
        metrics registry: PrometheusRegistry = PrometheusRegistry(),
        logger: Logger,
        audit: Logger = Logger(label: "diskdelta.audit")
    ) async throws -> Server {
        let endpoints = try settings.listen.map { address throws(SettingsError) in try endpoint(address, settings) }
        let security = try Security(settings, logger: logger)
        let files: RootedFiles
        do {
            files = try RootedFiles(settings.roots.map { argument throws(RootError) in try Root(argument: argument) })
        } catch {
            throw SettingsError(message: error.message)
        }
        if settings.roots.isEmpty { logger.warning("there are no roots, so there is no disk to ask about") }
        let operations = try await Operations.start(settings, registry: registry, logger: logger)
        var configuration = ServerConfiguration()
        configuration.observer = operations.metrics.connections
        configuration.tls = security.serverTLS
        // Who is not let in is counted and written down too.
        configuration.interceptors = [
            operations.metrics.calls, AuditLog(audit), AccessControl(security: security),
        ]
        let transport: RPCServer
        do {
            transport = try await RPCServer.bind(
                to: endpoints,
                router: router(files, security, configuration.settings),
                configuration: configuration,
                logger: logger
            )
        } catch {
            await operations.stop()
            throw StartFailure(message: error.message)
        }
        operations.setServing(true)
        let server = Server(transport, operations, security, logger: logger)
        logger.info("serving", metadata: ["addresses": "\(server.addresses)", "roots": "\(settings.roots)"])
        return server
    }

    /// Reads the files of certificates, keys, tokens and the policy again. Calls under way go on as they began.
    public func reload() {
        security.refresh(always: true)
    }

    /// Takes up no more calls, waits a while for those under way, and returns when everything is closed.
    public func stop() async {
        logger.info("stopping")
        operations.setServing(false)
        // Before the listeners close: as long as this server answers there, nobody else can have taken the path. Later a
        // successor may have, while calls are still under way here.
        for case .unix(let path) in transport.endpoints { unlink(path) }
        await transport.stop()
        watch.cancel()
        await operations.stop()
        logger.info("stopped")
    }

    private static func endpoint(_ address: String, _ settings: Settings) throws(SettingsError) -> Endpoint {
        let endpoint: Endpoint
        do {
            endpoint = try Endpoint(address)
        } catch {
            throw SettingsError(message: error.description)
        }
        try ListenerRule.check(endpoint, settings)
        return endpoint
    }

    /// What this version answers. Every other method of the protocol is refused by its name.
    private static func router(
        _ files: RootedFiles,
        _ security: Security,
        _ settings: ServerSettings
    ) -> ServiceRouter {
        var router = ServiceRouter()
        router.register(DiskService(roots: files, policy: { security.currentPolicy }))
        let methods = DiskService.answeredMethods + HealthReport.answeredMethods + ServerDescription.answeredMethods
        router.register(HealthReport(services: Set(methods.map(\.service))))
        let limits = ServerLimits(
            maxFrameSize: ClientSettings.default.maximumFrame,
            maxRequestSize: settings.maximumFrame,
            maxStreams: settings.maximumStreams
        )
        router.register(ServerDescription(limits: limits, methods: methods.map(\.path)))
        return router
    }
}

/// A server that cannot listen where it was told to.
public struct StartFailure: Error, Hashable, Sendable, CustomStringConvertible {
    /// One sentence that a person can act on.
    public let message: String

    public var description: String { message }
}

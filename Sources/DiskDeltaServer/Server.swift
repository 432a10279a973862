internal import DiskDeltaJobs
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
    /// Nil where none are kept.
    private let jobs: JobService?
    /// Looks at the files of the security.
    private let watch: Task<Void, Never>
    /// The Unix sockets that it has made.
    private let ownPaths: [String]
    private let logger: Logger

    private init(
        _ transport: RPCServer,
        _ operations: Operations,
        _ security: Security,
        _ jobs: JobService?,
        ownPaths: [String],
        logger: Logger
    ) {
        self.ownPaths = ownPaths
        self.transport = transport
        self.operations = operations
        self.security = security
        self.jobs = jobs
        security.onTrustChange { transport.drainConnections(notVerifiedUnder: $0) }
        watch = Task { await security.watch() }
        self.logger = logger
        addresses = transport.endpoints.map(\.description)
    }

    /// Starts a server. When this returns it serves, until `stop()`.
    ///
    /// - Parameters:
    ///   - descriptors: of sockets that are bound already, on which it listens too; it closes them.
    ///   - metrics: takes the server's figures, and tells them where the settings say so.
    ///   - audit: gets a line for each call, whatever the level of `logger`.
    /// - Throws: `SettingsError` for a setting that is not allowed; `StartFailure` where it cannot listen.
    public static func start(
        _ settings: Settings,
        inheriting descriptors: [Int32] = [],
        metrics registry: PrometheusRegistry = PrometheusRegistry(),
        logger: Logger,
        audit: Logger = Logger(label: "diskdelta.audit")
    ) async throws -> Server {
        let listening = try Listening(settings, inheriting: descriptors) { endpoint throws(SettingsError) in
            try ListenerRule.check(endpoint, settings, logger)
        }
        let security = try Security(settings, logger: logger)
        let files: RootedFiles
        do {
            files = try RootedFiles(settings.roots.map { argument throws(RootError) in try Root(argument: argument) })
        } catch {
            throw SettingsError(message: error.message)
        }
        if settings.roots.isEmpty { logger.warning("there are no roots, so there is no disk to ask about") }
        let disks = DiskService(roots: files, policy: { security.currentPolicy })
        let pool = FileWorkPool()
        let jobs = try JobService(settings, disks, files, security, pool, logger)
        let operations = try await Operations.start(settings, registry: registry, logger: logger)
        var configuration = ServerConfiguration()
        configuration.pool = pool
        configuration.maximumCallsPerIdentity = settings.maximumCallsPerIdentity
        configuration.observer = operations.metrics.connections
        configuration.tls = security.serverTLS
        // Who is not let in is counted and written down too.
        configuration.interceptors = [
            operations.metrics.calls, AuditLog(audit), AccessControl(security: security),
        ]
        let transport: RPCServer
        do {
            transport = try await RPCServer.bind(
                to: listening.endpoints,
                inheriting: listening.sockets,
                router: services(disks, jobs, operations.health, configuration, settings),
                configuration: configuration,
                logger: logger
            )
        } catch {
            await operations.stop()
            throw StartFailure(message: error.message)
        }
        operations.setServing(true)
        jobs?.start()
        let server = Server(transport, operations, security, jobs, ownPaths: listening.ownPaths, logger: logger)
        logger.info("serving", metadata: ["addresses": "\(server.addresses)", "roots": "\(settings.roots)"])
        return server
    }

    /// Reads the files of certificates, keys, tokens and the policy again. Calls under way go on as they began.
    public func reload() {
        security.refresh(always: true)
    }

    /// Takes up no more calls, waits a while for those under way, and returns when everything is closed. Jobs stop where they
    /// are, and go on when a server starts with the same state.
    public func stop() async {
        logger.info("stopping")
        operations.setServing(false)
        // Before the listeners close: as long as this server answers there, nobody else can have taken the path. Later a
        // successor may have, while calls are still under way here.
        for path in ownPaths { unlink(path) }
        // Before the calls: who watches a job that goes on is not to be waited for.
        await jobs?.stop()
        await transport.stop()
        watch.cancel()
        await operations.stop()
        logger.info("stopped")
    }
}

extension JobService {
    /// The jobs of the folder that the settings name; nil where they name none.
    ///
    /// - Throws: `SettingsError` where the folder cannot be used.
    fileprivate convenience init?(
        _ settings: Settings,
        _ disks: DiskService,
        _ files: RootedFiles,
        _ security: Security,
        _ pool: FileWorkPool,
        _ logger: Logger
    ) throws(SettingsError) {
        guard let path = settings.state else { return nil }
        do throws(StateError) {
            try self.init(
                try StateFolder(path),
                disks: disks,
                access: JobAccess(policy: { security.currentPolicy }, rootName: { files.rootName(ofDisk: $0) }),
                // Nobody waits for a job as somebody does for a call.
                executor: pool.lane(client: "(jobs)", weight: 0.25),
                report: { logger.error("jobs", metadata: ["error": "\($0)"]) }
            )
        } catch {
            throw SettingsError(message: error.message)
        }
        if unendedCount > 0 { logger.info("going on with jobs", metadata: ["count": "\(unendedCount)"]) }
    }
}

/// A server that cannot listen where it was told to.
public struct StartFailure: Error, Hashable, Sendable, CustomStringConvertible {
    /// One sentence that a person can act on.
    public let message: String

    public var description: String { message }
}

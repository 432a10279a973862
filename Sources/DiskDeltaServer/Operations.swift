internal import DiskDeltaProtocol
internal import DiskDeltaService
internal import DiskDeltaTransport
internal import Logging
internal import NIOHTTP1
internal import Synchronization

/// What a server offers to those who look after it: figures, and a page that says whether it serves.
final class Operations: Sendable {
    let metrics: ServerMetrics
    /// The same as the page, for those who speak the protocol.
    let health: HealthReport

    private let listener: MetricsListener?
    private let isServing: IsServing

    private final class IsServing: Sendable {
        let value = Atomic(false)
    }

    private init(
        _ settings: Settings,
        _ metrics: ServerMetrics,
        _ listener: MetricsListener?,
        _ isServing: IsServing
    ) {
        health = HealthReport(services: Set(Server.answeredMethods(settings).map(\.service)))
        self.metrics = metrics
        self.listener = listener
        self.isServing = isServing
    }

    /// - Throws: `SettingsError`, `StartFailure`.
    static func start(
        _ settings: Settings,
        registry: PrometheusRegistry,
        logger: Logger
    ) async throws -> Operations {
        let metrics = ServerMetrics(factory: registry, version: Server.version)
        let isServing = IsServing()
        guard let address = settings.metricsListen else { return Operations(settings, metrics, nil, isServing) }
        let endpoint: Endpoint
        do {
            endpoint = try Endpoint(address)
        } catch {
            throw SettingsError(message: "metrics-listen: \(error)")
        }
        guard case .tcp = endpoint else {
            throw SettingsError(message: "metrics-listen: '\(address)' is not HOST:PORT or [V6]:PORT")
        }
        let process = metrics.process
        let listener = try await MetricsListener.bind(to: endpoint) { page in
            switch page {
            case .metrics:
                process.refresh()
                return MetricsAnswer(contentType: PrometheusText.contentType, text: registry.text)
            case .health:
                return isServing.value.load(ordering: .relaxed)
                    ? MetricsAnswer(text: "serving\n")
                    : MetricsAnswer(status: .serviceUnavailable, text: "not serving\n")
            }
        }
        logger.info("serving metrics", metadata: ["address": "\(listener.endpoint)"])
        if !endpoint.isLocal {
            logger.notice(
                "everybody who can reach the address can read the metrics",
                metadata: ["address": "\(listener.endpoint)"]
            )
        }
        return Operations(settings, metrics, listener, isServing)
    }

    /// Says whether the server takes up calls; at first it does not.
    func setServing(_ isServing: Bool) {
        self.isServing.value.store(isServing, ordering: .relaxed)
        metrics.process.setServing(isServing)
        if !isServing { health.stopServing() }
    }

    func stop() async { await listener?.stop() }
}

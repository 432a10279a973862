internal import CoreMetrics
internal import DiskDeltaProtocol
internal import DiskDeltaTransport
internal import Metrics

/// Counts what becomes of connections.
final class ConnectionMetrics: ServerObserver {
    private let factory: any MetricsFactory
    private let accepted: Counter
    private let refused: Counter
    private let open: Meter
    private let handshakeFailures: Counter
    private let stalled: Meter

    init(factory: any MetricsFactory) {
        self.factory = factory
        accepted = Counter(label: "diskdelta_connections_accepted_total", factory: factory)
        refused = Counter(label: "diskdelta_connections_refused_total", factory: factory)
        open = Meter(label: "diskdelta_connections_open", factory: factory)
        handshakeFailures = Counter(label: "diskdelta_tls_handshake_failures_total", factory: factory)
        stalled = Meter(label: "diskdelta_streams_stalled", factory: factory)
    }

    func connectionAccepted() {
        accepted.increment()
        open.increment()
    }

    func connectionEnded() { open.decrement() }
    func connectionRefused() { refused.increment() }
    func tlsHandshakeFailed() { handshakeFailures.increment() }
    func streamStalled() { stalled.increment() }
    func stallEnded() { stalled.decrement() }

    func callRefused(_ limit: CallLimit) {
        Counter(label: "diskdelta_calls_refused_total", dimensions: [("limit", limit.rawValue)], factory: factory)
            .increment()
    }

    func goAwaySent(_ code: GoAwayCode) {
        Counter(label: "diskdelta_goaways_sent_total", dimensions: [("code", code.name)], factory: factory).increment()
    }

    func connectionFailed(_ error: ProtocolError) {
        // A peer that speaks something else is told nothing.
        let code = error.code.goAwayCode?.name ?? "FOREIGN_PEER"
        Counter(label: "diskdelta_connections_failed_total", dimensions: [("code", code)], factory: factory).increment()
    }
}

public import CoreMetrics
internal import Synchronization

/// Keeps the figures of a process and tells them in the text format of Prometheus: the backend of swift-metrics.
///
/// Its size is bounded. A metric has only so many combinations of label values; what comes after is counted together, in one
/// line whose labels are all `other`.
public final class PrometheusRegistry: MetricsFactory {
    /// What is known of a metric before its first figure.
    struct Description: Sendable {
        var help: String
        /// Of a histogram, in ascending order.
        var bounds: [Double] = PrometheusRegistry.usualBounds
    }

    struct Limits: Sendable {
        /// How many metrics there may be. What comes after is not kept.
        var metrics = 256
        /// How many combinations of label values one metric may have.
        var series = 1_024
    }

    private enum Kind: String {
        case counter, gauge, histogram
    }

    private struct Metric {
        let kind: Kind
        var series: [String: any PrometheusSeries] = [:]
    }

    /// In seconds, from a call inside one machine to one that takes a day.
    static let usualBounds = [0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 30, 120, 600, 3_600, 21_600, 86_400]

    private static let other = "other"

    private let descriptions: [String: Description]
    private let limits: Limits
    private let metrics = Mutex<[String: Metric]>([:])

    /// A registry of its own, that knows the metrics of a server.
    public convenience init() {
        self.init(ServerMetrics.descriptions)
    }

    init(_ descriptions: [String: Description], limits: Limits = Limits()) {
        self.descriptions = descriptions
        self.limits = limits
    }

    /// Makes a registry the backend of swift-metrics for the whole process. To be called at most once, before anything else
    /// counts: by a program, not by a library.
    public static func bootstrapProcess() -> PrometheusRegistry {
        let registry = PrometheusRegistry()
        MetricsSystem.bootstrap(registry)
        return registry
    }

    /// All figures, as they are now.
    public var text: String {
        var text = PrometheusText()
        // The series are read outside of the lock: they have their own.
        for (name, metric) in metrics.withLock({ $0 }).sorted(by: { $0.key < $1.key }) {
            text.head(name, kind: metric.kind.rawValue, help: descriptions[name]?.help ?? "")
            for (labels, series) in metric.series.sorted(by: { $0.key < $1.key }) {
                series.write(name: name, labels: labels, to: &text)
            }
        }
        return text.text
    }

    // MARK: MetricsFactory

    public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        series(.counter, label, dimensions) { _ in CounterSeries() } ?? IgnoredSeries()
    }

    public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        series(.gauge, label, dimensions) { _ in GaugeSeries() } ?? IgnoredSeries()
    }

    public func makeRecorder(
        label: String,
        dimensions: [(String, String)],
        aggregate: Bool
    ) -> any RecorderHandler {
        if aggregate {
            series(.histogram, label, dimensions) { HistogramSeries(bounds: $0) } ?? IgnoredSeries()
        } else {
            series(.gauge, label, dimensions) { _ in GaugeSeries() } ?? IgnoredSeries()
        }
    }

    public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        series(.histogram, label, dimensions) { HistogramSeries(bounds: $0) } ?? IgnoredSeries()
    }

    // What was counted once goes on to be told: a scraper takes a figure that vanishes for a process that restarted.
    public func destroyCounter(_ handler: any CounterHandler) {}
    public func destroyMeter(_ handler: any MeterHandler) {}
    public func destroyRecorder(_ handler: any RecorderHandler) {}
    public func destroyTimer(_ handler: any TimerHandler) {}

    /// The series of these labels, made where it is not there; nil where it cannot be.
    private func series<Series: PrometheusSeries>(
        _ kind: Kind,
        _ label: String,
        _ dimensions: [(String, String)],
        _ make: (_ bounds: [Double]) -> Series
    ) -> Series? {
        let name = PrometheusText.name(label)
        let bounds = descriptions[name]?.bounds ?? Self.usualBounds
        let labels = PrometheusText.labels(dimensions)
        let others = PrometheusText.labels(dimensions.map { ($0.0, Self.other) })
        return metrics.withLock { metrics in
            var metric = metrics[name] ?? Metric(kind: kind)
            guard metric.kind == kind, metrics[name] != nil || metrics.count < limits.metrics else { return nil }
            let key = metric.series[labels] == nil && metric.series.count >= limits.series ? others : labels
            let series = metric.series[key] ?? make(bounds)
            metric.series[key] = series
            metrics[name] = metric
            return series as? Series
        }
    }
}

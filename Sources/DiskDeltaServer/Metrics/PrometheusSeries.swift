internal import CoreMetrics
internal import Synchronization

/// One line of figures of a metric, or for a histogram the lines that belong together: one combination of label values.
protocol PrometheusSeries: AnyObject, Sendable {
    /// Appends its samples. `labels` is what stands between the braces, without them; empty where there are none.
    func write(name: String, labels: String, to text: inout PrometheusText)
}

/// A number that only rises.
final class CounterSeries: PrometheusSeries, CounterHandler {
    private let value = Atomic<UInt64>(0)

    func increment(by amount: Int64) {
        guard amount > 0 else { return }
        value.wrappingAdd(UInt64(amount), ordering: .relaxed)
    }

    func reset() { value.store(0, ordering: .relaxed) }

    func write(name: String, labels: String, to text: inout PrometheusText) {
        text.sample(name, labels, value.load(ordering: .relaxed).description)
    }
}

/// A number that rises and falls.
final class GaugeSeries: PrometheusSeries, MeterHandler, RecorderHandler {
    private let value = Mutex(0.0)

    func set(_ value: Int64) { set(Double(value)) }
    func set(_ value: Double) { self.value.withLock { $0 = value } }
    func increment(by amount: Double) { value.withLock { $0 += amount } }
    func decrement(by amount: Double) { value.withLock { $0 -= amount } }
    func record(_ value: Int64) { set(value) }
    func record(_ value: Double) { set(value) }

    func write(name: String, labels: String, to text: inout PrometheusText) {
        text.sample(name, labels, PrometheusText.number(value.withLock { $0 }))
    }
}

/// How often a value lay below each of some bounds. What a timer tells is counted in seconds.
final class HistogramSeries: PrometheusSeries, RecorderHandler, TimerHandler {
    private struct Counts {
        /// By the first bound that is not below the value; the last is for values above all bounds.
        var buckets: [UInt64]
        var sum = 0.0
    }

    private let bounds: [Double]
    private let counts: Mutex<Counts>

    /// - Parameter bounds: in ascending order.
    init(bounds: [Double]) {
        self.bounds = bounds
        counts = Mutex(Counts(buckets: Array(repeating: 0, count: bounds.count + 1)))
    }

    func record(_ value: Int64) { record(Double(value)) }

    func record(_ value: Double) {
        guard value.isFinite else { return }
        let bucket = bounds.firstIndex { value <= $0 } ?? bounds.count
        counts.withLock { counts in
            counts.buckets[bucket] &+= 1
            counts.sum += value
        }
    }

    func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1e9) }

    func write(name: String, labels: String, to text: inout PrometheusText) {
        let counts = counts.withLock { $0 }
        let others = labels.isEmpty ? "" : labels + ","
        var total: UInt64 = 0
        for (bound, count) in zip(bounds, counts.buckets) {
            total &+= count
            text.sample(name + "_bucket", others + "le=\"\(PrometheusText.number(bound))\"", total.description)
        }
        total &+= counts.buckets.last ?? 0
        text.sample(name + "_bucket", others + "le=\"+Inf\"", total.description)
        text.sample(name + "_sum", labels, PrometheusText.number(counts.sum))
        text.sample(name + "_count", labels, total.description)
    }
}

/// Takes what belongs nowhere: a metric under a name that another kind of metric has, or one name too many.
final class IgnoredSeries: CounterHandler, MeterHandler, RecorderHandler, TimerHandler {
    func increment(by amount: Int64) {}
    func reset() {}
    func set(_ value: Int64) {}
    func set(_ value: Double) {}
    func increment(by amount: Double) {}
    func decrement(by amount: Double) {}
    func record(_ value: Int64) {}
    func record(_ value: Double) {}
    func recordNanoseconds(_ duration: Int64) {}
}

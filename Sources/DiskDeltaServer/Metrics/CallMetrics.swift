internal import CoreMetrics
internal import DiskDeltaProtocol
internal import Metrics
internal import Synchronization

/// Counts calls: the outermost of a server's interceptors, so that it sees those too that are not let in.
final class CallMetrics: ServerInterceptor {
    /// The label of a call whose method this server does not have: the path of such a call is the caller's choice.
    static let unknownMethod = "unknown"

    private static let batched: Set<MethodDescriptor> = [
        ImageManagementMethods.getVirtualDiskChanges, ImageManagementMethods.getVirtualDiskAllocation,
    ]

    /// What is counted of one method.
    private struct Instruments: Sendable {
        let started: Counter
        let active: Meter
        let resumed: Counter
        let ranges: Counter
        let bytes: Counter
        let duration: Timer
        let firstMessage: Timer
        /// Of methods that answer in batches.
        let firstBatch: Timer?

        init(_ method: String, isBatched: Bool, _ factory: any MetricsFactory) {
            let labels = [("method", method)]
            started = Counter(label: "diskdelta_calls_started_total", dimensions: labels, factory: factory)
            active = Meter(label: "diskdelta_calls_active", dimensions: labels, factory: factory)
            resumed = Counter(label: "diskdelta_calls_resumed_total", dimensions: labels, factory: factory)
            ranges = Counter(label: "diskdelta_ranges_total", dimensions: labels, factory: factory)
            bytes = Counter(label: "diskdelta_message_bytes_sent_total", dimensions: labels, factory: factory)
            duration = Timer(label: "diskdelta_call_duration_seconds", dimensions: labels, factory: factory)
            firstMessage = Timer(label: "diskdelta_first_message_seconds", dimensions: labels, factory: factory)
            firstBatch =
                isBatched
                ? Timer(label: "diskdelta_first_batch_seconds", dimensions: labels, factory: factory) : nil
        }
    }

    private let factory: any MetricsFactory
    private let methods = Mutex<[MethodDescriptor?: Instruments]>([:])

    init(factory: any MetricsFactory) {
        self.factory = factory
    }

    func begin(path: String, method: MethodDescriptor?, context: inout CallContext) throws(CallError) {
        let instruments = instruments(method)
        instruments.started.increment()
        instruments.active.increment()
    }

    func end(_ record: CallRecord) {
        let instruments = instruments(record.method)
        instruments.active.decrement()
        instruments.ranges.increment(by: Int64(clamping: record.counts.ranges))
        instruments.bytes.increment(by: Int64(clamping: record.counts.bytes))
        instruments.duration.record(duration: record.counts.duration)
        if let time = record.counts.timeToFirstMessage { instruments.firstMessage.record(duration: time) }
        if let time = record.counts.timeToSecondMessage { instruments.firstBatch?.record(duration: time) }
        if record.context.notes.namesEpoch, record.context.metadata[CallOptions.previousAttemptsKey] != nil {
            instruments.resumed.increment()
        }
        Counter(
            label: "diskdelta_calls_ended_total",
            dimensions: [
                ("method", Self.label(record.method)), ("status", record.status.name), ("reason", record.reason.name),
            ],
            factory: factory
        ).increment()
    }

    private func instruments(_ method: MethodDescriptor?) -> Instruments {
        methods.withLock { methods in
            if let known = methods[method] { return known }
            let isBatched = method.map(Self.batched.contains) ?? false
            let made = Instruments(Self.label(method), isBatched: isBatched, factory)
            methods[method] = made
            return made
        }
    }

    private static func label(_ method: MethodDescriptor?) -> String { method?.path ?? unknownMethod }
}

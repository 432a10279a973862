internal import DiskImages
internal import Synchronization

/// A job that has not ended, as it is now, and those who watch it. When it has ended, it keeps its last state for who still
/// holds it.
final class LiveJob: Sendable {
    /// How a job stood, and the number of that state: each that follows has a higher one.
    struct Sighting {
        let record: JobRecord
        let number: UInt64
    }

    private struct State {
        var record: JobRecord
        /// When it began to run, where it runs.
        var running: ContinuousClock.Instant?
        var number: UInt64 = 1
        var isClosed = false
        var waiting: [UInt64: CheckedContinuation<Void, Never>] = [:]
        /// Those that were cancelled before they waited.
        var cancelled: Set<UInt64> = []
        var nextWaiter: UInt64 = 0

        /// The record with the time that it has run up to now.
        var current: JobRecord {
            var current = record
            if let running, !record.hasEnded {
                current.elapsed = JobRecord.elapsed(record.elapsed, since: running)
            }
            return current
        }
    }

    let id: GUID
    private let state: Mutex<State>

    init(_ record: JobRecord) {
        id = record.id
        state = Mutex(State(record: record))
    }

    var record: JobRecord { state.withLock { $0.current } }

    var sighting: Sighting { state.withLock { Sighting(record: $0.current, number: $0.number) } }

    /// Says how the job stands now. Nothing is said of one that has ended.
    ///
    /// - Parameter running: since when it has run beyond `record.elapsed`; nil where it does not run.
    func publish(_ record: JobRecord, running: ContinuousClock.Instant?) {
        let waiting = state.withLock { state -> [CheckedContinuation<Void, Never>] in
            guard !state.record.hasEnded else { return [] }
            state.record = record
            state.running = running
            state.number &+= 1
            defer { state.waiting = [:] }
            return Array(state.waiting.values)
        }
        for waiter in waiting { waiter.resume() }
    }

    /// Nobody is to watch any more: the server stops.
    func close() {
        let waiting = state.withLock { state in
            state.isClosed = true
            defer { state.waiting = [:] }
            return Array(state.waiting.values)
        }
        for waiter in waiting { waiter.resume() }
    }

    /// How the job stands, as soon as that is another state than the one of `number`; nil where the task was cancelled before,
    /// or the server stops. States in between are skipped.
    func change(after number: UInt64) async -> Sighting? {
        await waitForChange(after: number)
        return state.withLock { state in
            state.number > number ? Sighting(record: state.current, number: state.number) : nil
        }
    }

    private func waitForChange(after number: UInt64) async {
        let id = state.withLock { state in
            state.nextWaiter &+= 1
            return state.nextWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { waiter in
                let mayGo = state.withLock { state in
                    let wasCancelled = state.cancelled.remove(id) != nil
                    let mayGo = wasCancelled || state.number > number || state.isClosed
                    if !mayGo { state.waiting[id] = waiter }
                    return mayGo
                }
                if mayGo { waiter.resume() }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                let waiter = state.waiting.removeValue(forKey: id)
                if waiter == nil { state.cancelled.insert(id) }
                return waiter
            }
            waiter?.resume()
        }
        state.withLock { state in _ = state.cancelled.remove(id) }
    }
}

extension JobRecord {
    /// The milliseconds that a job has run: those of before, and those since `start`.
    static func elapsed(_ before: UInt64, since start: ContinuousClock.Instant) -> UInt64 {
        let milliseconds = (ContinuousClock.now - start) / .milliseconds(1)
        return before &+ (UInt64(exactly: max(milliseconds, 0).rounded()) ?? 0)
    }
}

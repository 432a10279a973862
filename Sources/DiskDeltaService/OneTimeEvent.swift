internal import Synchronization

/// Something that happens once, and that many tasks may wait for.
final class OneTimeEvent: Sendable {
    private struct State {
        var hasHappened = false
        var waiting: [UInt64: CheckedContinuation<Void, Never>] = [:]
        /// Those that were cancelled before they waited.
        var cancelled: Set<UInt64> = []
        var nextWaiter: UInt64 = 0
    }

    private let state = Mutex(State())

    var hasHappened: Bool { state.withLock { $0.hasHappened } }

    func happen() {
        let waiting = state.withLock { state in
            state.hasHappened = true
            defer { state.waiting = [:] }
            return state.waiting.values
        }
        for waiter in waiting { waiter.resume() }
    }

    /// Returns when it has happened, or when the task is cancelled.
    func wait() async {
        let id = state.withLock { state in
            state.nextWaiter &+= 1
            return state.nextWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { waiter in
                let mayGo = state.withLock { state in
                    let mayGo = state.hasHappened || state.cancelled.remove(id) != nil
                    if !mayGo { state.waiting[id] = waiter }
                    return mayGo
                }
                if mayGo { waiter.resume() }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                let waiter = state.waiting.removeValue(forKey: id)
                if waiter == nil, !state.hasHappened { state.cancelled.insert(id) }
                return waiter
            }
            waiter?.resume()
        }
    }

    /// How many tasks wait.
    var waiterCount: Int { state.withLock { $0.waiting.count } }
}

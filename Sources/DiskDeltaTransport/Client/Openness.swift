internal import DiskDeltaProtocol
internal import Synchronization

/// Whether a connection takes calls. It ends once.
final class Openness: Sendable {
    private let state = Mutex<ConnectionEnd?>(nil)

    var isOpen: Bool { end == nil }

    /// Since when it takes none; nil while it does.
    var end: ConnectionEnd? { state.withLock { $0 } }

    /// It takes no calls from now on, unless it took none before.
    ///
    /// - Parameters:
    ///   - isOrderly: whether a side said that it leaves, and nothing broke.
    ///   - error: why, where something broke.
    func end(isOrderly: Bool, because error: CallError? = nil) {
        let end = ConnectionEnd(time: .now, isOrderly: isOrderly, error: error)
        state.withLock { $0 = $0 ?? end }
    }
}

/// Since when a connection takes no calls.
struct ConnectionEnd: Hashable, Sendable {
    let time: ContinuousClock.Instant
    /// Whether one of the sides said that it leaves, and broke nothing.
    let isOrderly: Bool
    /// What broke; nil where a side said that it leaves.
    let error: CallError?
}

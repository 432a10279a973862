internal import Synchronization

/// Where one sender and one receiver meet: a message is made when the receiver waits for it, and handed over without a
/// queue. Either side, or a third, may end it; the first end counts.
final class Handover: Sendable {
    typealias Received = Result<[UInt8]?, CallError>

    private struct State {
        /// The receiver, while it waits.
        var receiver: CheckedContinuation<Received, Never>?
        /// The sender, while nobody waits for a message.
        var sender: CheckedContinuation<Bool, Never>?
        var outcome: Result<StatusDetails, CallError>?
        var endings: [@Sendable () -> Void] = []
    }

    private let state = Mutex(State())

    /// Waits for a message; nil when the sender ended with success.
    func receive() async throws(CallError) -> [UInt8]? {
        let received = await withCheckedContinuation { (receiver: CheckedContinuation<Received, Never>) in
            let (rejected, sender) = state.withLock { state -> (Received?, CheckedContinuation<Bool, Never>?) in
                if let outcome = state.outcome { return (outcome.map { _ in nil }, nil) }
                guard state.receiver == nil else {
                    return (.failure(CallError(.internal, "a call is read by two tasks at once")), nil)
                }
                state.receiver = receiver
                return (nil, state.sender.take())
            }
            if let rejected { receiver.resume(returning: rejected) }
            sender?.resume(returning: true)
        }
        return try received.get()
    }

    /// Waits until a message is waited for. False once the end has come.
    func isAwaited() async -> Bool {
        await withCheckedContinuation { sender in
            let answer = state.withLock { state -> Bool? in
                if state.outcome != nil { return false }
                if state.receiver != nil { return true }
                state.sender = sender
                return nil
            }
            if let answer { sender.resume(returning: answer) }
        }
    }

    /// Hands a message to the receiver that waits for it. After the end it is dropped.
    func send(_ message: [UInt8]) {
        let receiver = state.withLock { $0.receiver.take() }
        receiver?.resume(returning: .success(message))
    }

    /// Ends it for both sides, unless it has ended.
    func end(_ outcome: Result<StatusDetails, CallError>) {
        let ended = state.withLock { state -> State in
            guard state.outcome == nil else { return State() }
            state.outcome = outcome
            defer {
                state.receiver = nil
                state.sender = nil
                state.endings = []
            }
            return state
        }
        ended.receiver?.resume(returning: outcome.map { _ in nil })
        ended.sender?.resume(returning: false)
        for ending in ended.endings { ending() }
    }

    /// Runs `action` at the end, or now where it has come.
    func whenEnded(_ action: @escaping @Sendable () -> Void) {
        let hasEnded = state.withLock { state in
            if state.outcome == nil { state.endings.append(action) }
            return state.outcome != nil
        }
        if hasEnded { action() }
    }

    /// What the sender's success carried; empty otherwise.
    var details: StatusDetails {
        state.withLock { state in
            if case .success(let details) = state.outcome { details } else { StatusDetails() }
        }
    }
}

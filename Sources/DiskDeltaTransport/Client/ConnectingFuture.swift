internal import NIOCore
internal import Synchronization

extension EventLoopFuture where Value == any Channel {
    /// The channel. Where the task is cancelled before it is there this throws at once, and the channel is closed when it
    /// comes.
    func unlessCancelled() async throws -> any Channel {
        let race = ConnectRace()
        whenComplete { race.arrived($0) }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { race.wait($0) }
        } onCancel: {
            race.cancel()
        }
    }
}

/// What comes first: the outcome of connecting, or that nobody wants it any more.
private final class ConnectRace: Sendable {
    typealias Waiter = CheckedContinuation<any Channel, any Error>

    private enum State {
        case open
        case waiting(Waiter)
        case arrived(Result<any Channel, any Error>)
        case over
    }

    private let state = Mutex(State.open)

    func wait(_ continuation: Waiter) {
        let outcome = state.withLock { state -> Result<any Channel, any Error>? in
            switch state {
            case .open:
                state = .waiting(continuation)
                return nil
            case .arrived(let outcome):
                state = .over
                return outcome
            case .waiting, .over: return .failure(CancellationError())
            }
        }
        if let outcome { continuation.resume(with: outcome) }
    }

    func arrived(_ outcome: Result<any Channel, any Error>) {
        let (waiter, isWanted) = state.withLock { state -> (Waiter?, Bool) in
            switch state {
            case .open:
                state = .arrived(outcome)
                return (nil, true)
            case .waiting(let waiter):
                state = .over
                return (waiter, true)
            case .arrived, .over: return (nil, false)
            }
        }
        waiter?.resume(with: outcome)
        if !isWanted, case .success(let channel) = outcome { channel.close(promise: nil) }
    }

    func cancel() {
        let (waiter, unwanted) = state.withLock {
            state -> (CheckedContinuation<any Channel, any Error>?, (any Channel)?) in
            defer { state = .over }
            switch state {
            case .waiting(let waiter): return (waiter, nil)
            case .arrived(.success(let channel)): return (nil, channel)
            case .open, .arrived, .over: return (nil, nil)
            }
        }
        waiter?.resume(throwing: CancellationError())
        unwanted?.close(promise: nil)
    }
}

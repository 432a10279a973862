internal import DiskDeltaProtocol
internal import Synchronization

/// A call of a channel, as its caller holds it. Where the server provably did not begin it, it is made again (P-93) without
/// the caller's noticing; where the server said when, not before (P-99).
final class ChannelCall: OutstandingCall {
    typealias Open = @Sendable (RPCConnection, CallOptions) async throws(CallError) -> any OutstandingCall

    private struct State {
        /// The call as a connection carries it.
        var call: (any OutstandingCall)?
        var isCancelled = false
        var hasMessage = false
        var repetitions = 0
        var refusals: Backoff
        /// While the call is made again.
        var repetition: Task<Result<Void, CallError>, Never>?
    }

    private let channel: RPCChannel
    private let method: MethodDescriptor
    private let options: CallOptions
    private let deadline: ContinuousClock.Instant?
    private let open: Open
    private let state: Mutex<State>

    init(_ channel: RPCChannel, _ method: MethodDescriptor, _ options: CallOptions, _ open: @escaping Open) {
        self.channel = channel
        self.method = method
        self.options = options
        self.open = open
        deadline = options.timeout.map { .now + $0 }
        state = Mutex(State(refusals: Backoff(channel.configuration.refusals)))
    }

    // MARK: Making the call

    /// Returns when a connection carries it.
    func begin() async throws(CallError) {
        while true {
            let connection = try await channel.connection(ConnectionMaker.Patience(options, deadline: deadline))
            do throws(CallError) {
                carry(try await open(connection, currentOptions))
                return
            } catch {
                try await pause(after: error)
            }
        }
    }

    /// What is left of the time, and how often the call was made before.
    private var currentOptions: CallOptions {
        var options = options
        options.timeout = deadline.map { $0 - .now }
        let repetitions = state.withLock(\.repetitions)
        if repetitions > 0 { options.previousAttempts += repetitions }
        return options
    }

    private func carry(_ call: any OutstandingCall) {
        let isCancelled = state.withLock { state in
            state.call = call
            return state.isCancelled
        }
        if isCancelled { call.cancel() }
    }

    /// Waits until the call may be made again. Throws where it may not, or its time is up before.
    private func pause(after error: CallError) async throws(CallError) {
        let wait = state.withLock { state -> Duration? in
            guard error.isUnbegun, !state.isCancelled, !state.hasMessage else { return nil }
            guard options.waitForReady || state.repetitions < channel.configuration.maximumRepetitions else {
                return nil
            }
            state.repetitions += 1
            // A connection that ended needs no pause: the channel makes the one that is due.
            return error.reason == .resourceLimit ? Self.wait(after: error, state.refusals.next()) : .zero
        }
        guard let wait else { throw error }
        guard wait > .zero else { return }
        let end = ContinuousClock.now + wait
        // What the server said is more to the point than that the time was up.
        if let deadline, error.retryDelay > 0, deadline <= end { throw error }
        guard (try? await Task.sleep(until: deadline.map { min($0, end) } ?? end)) != nil else {
            throw CallError(.cancelled, "the call was cancelled")
        }
    }

    /// How long a call waits that was refused. Those who were told the same time do not all come at once.
    private static func wait(after error: CallError, _ usual: Duration) -> Duration {
        max(usual, .milliseconds(error.retryDelay) * Double.random(in: 1...1.2))
    }

    // MARK: Reading it

    func next<Response: Message>(_ type: Response.Type) async throws(CallError) -> Response? {
        while true {
            guard let call = state.withLock(\.call) else { throw CallError(.cancelled, "the call was cancelled") }
            do throws(CallError) {
                let message = try await call.next(type)
                state.withLock { $0.hasMessage = true }
                return message
            } catch {
                try await makeAgain(after: error)
            }
        }
    }

    private func makeAgain(after error: CallError) async throws(CallError) {
        guard error.isUnbegun else { throw error }
        let task = state.withLock { state in
            let task = Task { () async -> Result<Void, CallError> in
                do throws(CallError) {
                    try await pause(after: error)
                    return .success(try await begin())
                } catch {
                    return .failure(error)
                }
            }
            if state.isCancelled { task.cancel() }
            state.repetition = task
            return task
        }
        let outcome = await withTaskCancellationHandler {
            await task.value
        } onCancel: {
            task.cancel()
        }
        state.withLock { $0.repetition = nil }
        try outcome.get()
    }

    var details: StatusDetails { state.withLock(\.call)?.details ?? StatusDetails() }

    func cancel() {
        let (call, repetition) = state.withLock { state in
            state.isCancelled = true
            return (state.call, state.repetition)
        }
        repetition?.cancel()
        call?.cancel()
    }
}

internal import DiskDeltaProtocol
internal import Synchronization

/// Has the connection of a channel made when a call needs one. What to do when is for ``ChannelState`` to say.
///
/// At most one task runs for it, while somebody waits for a connection: it ends when there is one, or when nobody waits any
/// more.
final class ConnectionMaker: Sendable {
    typealias Connect = @Sendable () async throws(CallError) -> RPCConnection
    typealias Instant = ContinuousClock.Instant
    private typealias Outcome = Result<RPCConnection, CallError>

    /// Until when a call waits.
    struct Patience {
        /// Whether it waits though an attempt has failed.
        var waitsForReady: Bool
        /// When the time of the call is up.
        var deadline: Instant?
        /// When it waits no longer for a connection, though it has time.
        var readyDeadline: Instant?

        /// That of a call with these options whose time is up at `deadline`.
        init(_ options: CallOptions, deadline: Instant?) {
            waitsForReady = options.waitForReady
            self.deadline = deadline
            readyDeadline = options.waitForReady ? options.readyTimeout.map { .now + $0 } : nil
        }

        fileprivate var end: Instant? { [deadline, readyDeadline].compactMap(\.self).min() }
        fileprivate var endsWithTheCall: Bool { end == deadline }
    }

    private struct Waiter {
        let continuation: CheckedContinuation<Outcome, Never>
        let waitsForReady: Bool
    }

    private struct Older {
        weak var connection: RPCConnection?
    }

    private struct State {
        var channel: ChannelState
        var connection: RPCConnection?
        /// Connections that take no more calls and may still have some.
        var older: [Older] = []
        var waiters: [UInt64: Waiter] = [:]
        /// Why waiters were given up that did not wait yet.
        var givenUp: [UInt64: CallError] = [:]
        var lastWaiter: UInt64 = 0
        var task: Task<Void, Never>?
        /// Tells tasks apart: one that was given up says nothing for the next.
        var generation = 0

        /// Looks whether the connection still takes calls.
        mutating func notice() {
            guard let connection, let end = connection.end else { return }
            older.removeAll { $0.connection == nil }
            older.append(Older(connection: connection))
            self.connection = nil
            channel.connectionEnded(end, variation: .random(in: -1...1))
        }
    }

    private let state: Mutex<State>
    private let server: Endpoint
    private let connect: Connect

    init(_ server: Endpoint, _ policy: BackoffPolicy, _ connect: @escaping Connect) {
        state = Mutex(State(channel: ChannelState(policy)))
        self.server = server
        self.connect = connect
    }

    var isConnected: Bool { state.withLock { $0.connection?.isOpen == true } }

    // MARK: Waiting for a connection

    /// The connection there is, or the next one.
    func connection(_ patience: Patience) async throws(CallError) -> RPCConnection {
        if let connection = state.withLock(\.connection), connection.isOpen { return connection }
        let id = state.withLock { state in
            state.lastWaiter += 1
            return state.lastWaiter
        }
        async let _: Void = ring(id, patience)
        let outcome = await withTaskCancellationHandler {
            await withCheckedContinuation {
                arrive(id, Waiter(continuation: $0, waitsForReady: patience.waitsForReady))
            }
        } onCancel: {
            giveUp(id, CallError(.cancelled, "the call was cancelled before there was a connection to \(server)"))
        }
        state.withLock { _ = $0.givenUp.removeValue(forKey: id) }
        return try outcome.get()
    }

    private func arrive(_ id: UInt64, _ waiter: Waiter) {
        let outcome = state.withLock { state -> Outcome? in
            if let error = state.givenUp[id] { return .failure(error) }
            state.notice()
            switch state.channel.callArrives(waitsForReady: waiter.waitsForReady, at: .now) {
            case .use:
                guard let connection = state.connection else {
                    return .failure(CallError(.internal, "the channel has lost its connection"))
                }
                return .success(connection)
            case .fail(let error): return .failure(error)
            case .wait(let attempt):
                state.waiters[id] = waiter
                if let attempt { begin(&state, at: attempt) }
                return nil
            }
        }
        if let outcome { waiter.continuation.resume(returning: outcome) }
    }

    /// Gives a waiter up when its patience ends.
    private func ring(_ id: UInt64, _ patience: Patience) async {
        guard let end = patience.end else { return }
        guard (try? await Task.sleep(until: end)) != nil else { return }
        guard !patience.endsWithTheCall else {
            return giveUp(id, CallError(.deadline, "the time was up before there was a connection to \(server)"))
        }
        let failure = state.withLock { state -> CallError? in
            guard case .pausing(_, let error) = state.channel.phase else { return nil }
            return error
        }
        giveUp(id, failure ?? CallError(.serverUnavailable, "there was no connection to \(server) in time"))
    }

    private func giveUp(_ id: UInt64, _ error: CallError) {
        let (waiter, task) = state.withLock { state -> (Waiter?, Task<Void, Never>?) in
            guard let waiter = state.waiters.removeValue(forKey: id) else {
                state.givenUp[id] = error
                return (nil, nil)
            }
            // An attempt under way goes on: its connection will be of use to the next call. A pause does not.
            guard state.waiters.isEmpty, state.channel.phase != .connecting else { return (waiter, nil) }
            state.generation += 1
            state.channel.attemptAbandoned()
            return (waiter, state.task.take())
        }
        task?.cancel()
        waiter?.continuation.resume(returning: .failure(error))
    }

    // MARK: Connecting

    private func begin(_ state: inout State, at time: Instant) {
        state.generation += 1
        let generation = state.generation
        state.task = Task { await run(generation, from: time) }
    }

    private func run(_ generation: Int, from start: Instant) async {
        var attempt: Instant? = start
        while let time = attempt {
            if time > .now { try? await Task.sleep(until: time) }
            guard state.withLock({ $0.generation == generation && $0.channel.attemptBegins() }) else { return }
            do throws(CallError) {
                succeed(generation, try await connect())
                return
            } catch {
                attempt = fail(generation, error)
            }
        }
    }

    private func succeed(_ generation: Int, _ connection: RPCConnection) {
        let waiters = state.withLock { state -> [Waiter] in
            guard state.generation == generation, state.channel.attemptSucceeded() else { return [] }
            state.connection = connection
            state.task = nil
            defer { state.waiters.removeAll() }
            return Array(state.waiters.values)
        }
        for waiter in waiters { waiter.continuation.resume(returning: .success(connection)) }
    }

    /// When to try again; nil where nobody waits for it.
    private func fail(_ generation: Int, _ error: CallError) -> Instant? {
        let (failed, attempt) = state.withLock { state -> ([Waiter], Instant?) in
            let variation = Double.random(in: -1...1)
            guard state.generation == generation,
                state.channel.attemptFailed(error, at: .now, variation: variation) != nil
            else { return ([], nil) }
            let failed = state.waiters.filter { !$0.value.waitsForReady }
            for id in failed.keys { state.waiters.removeValue(forKey: id) }
            if !state.waiters.isEmpty,
                case .wait(let attempt?) = state.channel.callArrives(waitsForReady: true, at: .now)
            {
                return (Array(failed.values), attempt)
            }
            state.task = nil
            return (Array(failed.values), nil)
        }
        for waiter in failed { waiter.continuation.resume(returning: .failure(error)) }
        return attempt
    }

    // MARK: Ending

    /// Gives up everything, and returns when all is closed.
    func close() async {
        let (waiters, task, connections) = state.withLock { state in
            state.channel.close()
            state.generation += 1
            let connections = [state.connection].compactMap(\.self) + state.older.compactMap(\.connection)
            defer {
                state.waiters.removeAll()
                state.older.removeAll()
                state.connection = nil
                state.task = nil
            }
            return (Array(state.waiters.values), state.task, connections)
        }
        let error = CallError(.cancelled, "the client was closed by its owner")
        for waiter in waiters { waiter.continuation.resume(returning: .failure(error)) }
        task?.cancel()
        await task?.value
        for connection in connections { await connection.close() }
    }

    /// Nobody will ask again.
    func abandon() {
        state.withLock { state in
            state.channel.close()
            state.generation += 1
            return state.task.take()
        }?.cancel()
    }
}

internal import NIOCore
internal import Synchronization

/// The connections that a server has, and how many calls they carry, as the event loops share them. It holds the limits of
/// the server as a whole (P-90).
final class ConnectionTable: Sendable {
    struct Connection: Sendable {
        let channel: any Channel
        let handler: NIOLoopBound<ServerConnectionHandler>

        /// Runs `body` where the handler may be touched, a little later.
        func onEventLoop(_ body: @escaping @Sendable (ServerConnectionHandler) -> Void) {
            channel.eventLoop.execute { [handler] in body(handler.value) }
        }
    }

    private struct State {
        var open: [ObjectIdentifier: Connection] = [:]
        var calls = 0
        var isStopping = false
    }

    private let maximumConnections: Int
    private let maximumCalls: Int
    private let state = Mutex(State())

    init(maximumConnections: Int, maximumCalls: Int) {
        self.maximumConnections = maximumConnections
        self.maximumCalls = maximumCalls
    }

    /// Adds a connection. False where the server is full, or stops.
    func add(_ connection: Connection) -> Bool {
        state.withLock { state in
            guard !state.isStopping, state.open.count < maximumConnections else { return false }
            state.open[ObjectIdentifier(connection.channel)] = connection
            return true
        }
    }

    func remove(_ connection: Connection) {
        state.withLock { _ = $0.open.removeValue(forKey: ObjectIdentifier(connection.channel)) }
    }

    /// Those that there are.
    var open: [Connection] { state.withLock { Array($0.open.values) } }

    /// Adds no more connections. Those that there are.
    func stop() -> [Connection] {
        state.withLock { state in
            state.isStopping = true
            return Array(state.open.values)
        }
    }

    /// Takes a place for a call. False where there is none.
    func takeCall() -> Bool {
        state.withLock { state in
            guard state.calls < maximumCalls else { return false }
            state.calls += 1
            return true
        }
    }

    /// The service of a call has returned: its place is free.
    func returnCall() {
        state.withLock { $0.calls -= 1 }
    }
}

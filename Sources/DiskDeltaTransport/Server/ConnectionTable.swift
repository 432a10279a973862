internal import DiskDeltaProtocol
internal import NIOCore
internal import Synchronization

/// The connections that a server has, and the calls they carry, as the event loops share them. It holds the limits of the
/// server as a whole (P-90).
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
        var isStopping = false
    }

    /// The place that a call has among those of its client.
    struct Place {
        fileprivate let client: String
        fileprivate let start: ContinuousClock.Instant
    }

    private let maximumConnections: Int
    private let maximumWaitingCalls: Int
    private let pool: FileWorkPool
    private let state = Mutex(State())
    private let places: Mutex<CallPlaces>

    init(_ configuration: ServerConfiguration, pool: FileWorkPool) {
        maximumConnections = configuration.maximumConnections
        maximumWaitingCalls = configuration.maximumWaitingCalls
        self.pool = pool
        places = Mutex(
            CallPlaces(
                maximum: configuration.maximumCalls,
                maximumPerClient: configuration.maximumCallsPerIdentity,
                at: .now
            )
        )
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

    /// Takes a place for a call that has arrived.
    ///
    /// - Throws: what its caller is told where there is none (P-99).
    func takeCall(at now: ContinuousClock.Instant) throws(CallRefusal) {
        guard pool.waitingCount < maximumWaitingCalls else { throw refusal(.queue, at: now) }
        guard places.withLock({ $0.take() }) else { throw refusal(.server, at: now) }
    }

    /// Takes a place among those of its client for a call that has one.
    func takeCall(of client: String, at now: ContinuousClock.Instant) throws(CallRefusal) -> Place {
        guard places.withLock({ $0.take(of: client, at: now) }) else { throw refusal(.client, at: now) }
        return Place(client: client, start: now)
    }

    /// The service of a call has returned: its places are free.
    func returnCall(_ place: Place?, at now: ContinuousClock.Instant) {
        places.withLock { $0.giveBack(place.map { ($0.client, $0.start) }, at: now) }
    }

    private func refusal(_ limit: CallLimit, at now: ContinuousClock.Instant) -> CallRefusal {
        CallRefusal(limit: limit, retryDelay: places.withLock { $0.retryDelay(at: now) })
    }
}

/// Why a call is not taken up, and after how many milliseconds it is worth making it again.
struct CallRefusal: Error {
    let limit: CallLimit
    let retryDelay: UInt32

    /// What the caller is told (P-99).
    var error: CallError {
        let what =
            switch limit {
            case .client: "this client has as many calls under way as one client may have"
            case .queue: "the server has as much to do as it takes up"
            case .connection, .server: "the server has as many calls under way as it takes up"
            }
        var error = CallError(.resourceLimit, "\(what); nothing of this one was done: try again in \(retryDelay) ms")
        error.retryDelay = retryDelay
        return error
    }
}

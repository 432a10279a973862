public import DiskDeltaProtocol

/// Says whether the server serves: yes, until it begins to stop.
public final class HealthReport: HealthService {
    /// The methods that are answered; the others are refused by name.
    public static let answeredMethods = [HealthMethods.check, HealthMethods.watch]

    /// The full names of the services that can be asked about.
    private let services: Set<String>
    private let stopping = OneTimeEvent()

    public init(services: some Sequence<String>) {
        self.services = Set(services)
    }

    /// The server takes up no more calls. Who watches is told, and his call ends.
    public func stopServing() {
        stopping.happen()
    }

    public func check(_ request: HealthCheckRequest, context: CallContext) async throws(CallError)
        -> HealthCheckResponse
    {
        guard knows(request.service) else {
            throw CallError(
                status: .notFound,
                reason: .invalidParameter,
                message: "This server has no service \(request.service)",
                detailCode: 0,
                resumeOffset: nil
            )
        }
        return HealthCheckResponse(status: stopping.hasHappened ? .notServing : .serving)
    }

    public func watch(_ request: HealthCheckRequest, context: CallContext) async throws(CallError)
        -> any ResponseStream<HealthCheckResponse>
    {
        HealthWatch(isKnown: knows(request.service), stopping)
    }

    /// The empty name means the server as a whole.
    private func knows(_ service: String) -> Bool {
        service.isEmpty || services.contains(service)
    }
}

/// The state now, and at every change. Nothing comes after the server's stopping, so the answer ends there: a watcher does
/// not keep a server from stopping.
private final class HealthWatch: ResponseStream {
    private let isKnown: Bool
    private let stopping: OneTimeEvent
    private var told: ServingStatus?

    init(isKnown: Bool, _ stopping: OneTimeEvent) {
        self.isKnown = isKnown
        self.stopping = stopping
    }

    private var status: ServingStatus {
        guard isKnown else { return .serviceUnknown }
        return stopping.hasHappened ? .notServing : .serving
    }

    func next() async throws(CallError) -> HealthCheckResponse? {
        if told != nil {
            await stopping.wait()
            // It may be the caller who has gone.
            guard stopping.hasHappened else { throw CallError(.cancelled, "The call was cancelled") }
        }
        let status = status
        guard status != told else { return nil }
        told = status
        return HealthCheckResponse(status: status)
    }
}

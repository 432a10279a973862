public import DiskDeltaProtocol

/// Says whether the server serves. A server that can answer at all does.
public struct HealthReport: HealthService {
    /// The methods that are answered; the others are refused by name.
    public static let answeredMethods = [HealthMethods.check]

    /// The full names of the services that can be asked about.
    private let services: Set<String>

    public init(services: some Sequence<String>) {
        self.services = Set(services)
    }

    public func check(_ request: HealthCheckRequest, context: CallContext) async throws(CallError)
        -> HealthCheckResponse
    {
        guard request.service.isEmpty || services.contains(request.service) else {
            throw CallError(
                status: .notFound,
                reason: .invalidParameter,
                message: "This server has no service \(request.service)",
                detailCode: 0,
                resumeOffset: nil
            )
        }
        return HealthCheckResponse(status: .serving)
    }
}

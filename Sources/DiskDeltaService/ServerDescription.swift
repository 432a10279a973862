public import DiskDeltaProtocol
internal import DiskImages

/// Says what this server is: its version, its formats, its limits.
public struct ServerDescription: ServerInfoService {
    /// The version of DiskDelta.
    public static let version = "0.1.0"

    /// The methods that are answered; the others are refused by name.
    public static let answeredMethods = [ServerInfoMethods.getServerInfo]

    private let limits: ServerLimits
    private let methods: [String]

    /// - Parameter methods: the paths of the methods that are answered.
    public init(limits: ServerLimits, methods: [String]) {
        self.limits = limits
        self.methods = methods
    }

    public func getServerInfo(
        _ request: GetServerInfoRequest,
        context: CallContext
    ) async throws(CallError) -> GetServerInfoResponse {
        GetServerInfoResponse(
            version: Self.version,
            identity: context.identity,
            formats: ImageDescription.Format.allCases.map(ImageFormat.init),
            limits: limits,
            methods: methods
        )
    }
}

public import DiskDeltaProtocol
internal import DiskImages
internal import Foundation

/// Says what this server is: its version, its formats, its limits.
public struct ServerDescription: ServerInfoService {
    /// The version of DiskDelta.
    public static let version = "0.1.0"

    /// The methods that are answered; the others are refused by name.
    public static let answeredMethods = [ServerInfoMethods.getServerInfo, ServerInfoMethods.getFileDescriptorSet]

    /// What a server of this version does that it need not do, however it is set up.
    public static let standardFeatures = ["heartbeat", "resume"]

    /// Some 20 KiB: a client that accepts shorter messages only is refused.
    private static let fileDescriptorSet = ByteColumn(Array(Data(base64Encoded: fileDescriptorSetText) ?? Data()))

    private let limits: ServerLimits
    private let methods: [String]
    private let features: [String]

    /// - Parameters:
    ///   - methods: the paths of the methods that are answered.
    ///   - features: in the words of `server_info.proto`.
    public init(limits: ServerLimits, methods: [String], features: [String] = standardFeatures) {
        self.limits = limits
        self.methods = methods
        self.features = features
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
            methods: methods,
            features: features
        )
    }

    public func getFileDescriptorSet(
        _ request: GetFileDescriptorSetRequest,
        context: CallContext
    ) async throws(CallError) -> GetFileDescriptorSetResponse {
        GetFileDescriptorSetResponse(fileDescriptorSet: Self.fileDescriptorSet)
    }
}

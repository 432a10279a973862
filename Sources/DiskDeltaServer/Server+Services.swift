internal import DiskDeltaProtocol
internal import DiskDeltaService
internal import DiskDeltaTransport

/// What a server answers. Every other method of the protocol is refused by its name.
extension Server {
    static let answeredMethods =
        ImageManagementMethods.all + HealthReport.answeredMethods + ServerDescription.answeredMethods

    static func services(
        _ files: RootedFiles,
        _ security: Security,
        _ health: HealthReport,
        _ configuration: ServerConfiguration,
        _ settings: Settings
    ) -> ServiceRouter {
        var router = ServiceRouter()
        router.register(DiskService(roots: files, policy: { security.currentPolicy }))
        router.register(health)
        router.register(
            ServerDescription(
                limits: ServerLimits(configuration),
                methods: answeredMethods.map(\.path),
                features: ServerDescription.standardFeatures + settings.features
            )
        )
        return router
    }
}

extension Settings {
    /// What follows from the settings, in the words of `server_info.proto`.
    var features: [String] {
        [
            tlsCertificate.map { _ in "tls" }, clientCA.map { _ in "client-certificate" },
            tokenFile.map { _ in "token" }, policyFile.map { _ in "policy" },
        ].compactMap(\.self)
    }
}

extension ServerLimits {
    init(_ configuration: ServerConfiguration) {
        func milliseconds(_ time: Duration?) -> UInt64 {
            UInt64(exactly: ((time ?? .zero) / .milliseconds(1)).rounded()) ?? 0
        }
        self.init(
            maxFrameSize: ClientSettings.default.maximumFrame,
            maxRequestSize: configuration.settings.maximumFrame,
            maxStreams: configuration.settings.maximumStreams,
            minPingInterval: configuration.settings.minimumPingInterval,
            maxMetadataSize: UInt32(clamping: Metadata.maximumByteCount),
            connectionIdleTime: milliseconds(configuration.times.idle),
            connectionAge: milliseconds(configuration.times.age),
            stallTime: milliseconds(configuration.times.stall),
            maxCallsPerIdentity: UInt32(clamping: configuration.maximumCallsPerIdentity),
            maxBatchDisks: UInt32(clamping: DiskService.maximumBatchDisks)
        )
    }
}

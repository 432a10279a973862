internal import DiskDeltaJobs
internal import DiskDeltaProtocol
internal import DiskDeltaService
internal import DiskDeltaTransport

/// What a server answers. Every other method of the protocol is refused by its name.
extension Server {
    static func answeredMethods(_ settings: Settings) -> [MethodDescriptor] {
        ImageManagementMethods.all + HealthReport.answeredMethods + ServerDescription.answeredMethods
            + (settings.state == nil ? [] : JobService.answeredMethods)
    }

    static func services(
        _ disks: DiskService,
        _ jobs: JobService?,
        _ health: HealthReport,
        _ configuration: ServerConfiguration,
        _ settings: Settings
    ) -> ServiceRouter {
        var router = ServiceRouter()
        router.register(disks)
        if let jobs { router.register(jobs) } else { router.register(UnkeptJobs()) }
        router.register(health)
        router.register(
            ServerDescription(
                limits: ServerLimits(configuration, jobs: jobs == nil ? nil : JobLimits()),
                methods: answeredMethods(settings).map(\.path),
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
            tokenFile.map { _ in "token" }, policyFile.map { _ in "policy" }, state.map { _ in "jobs" },
        ].compactMap(\.self)
    }
}

extension ServerLimits {
    /// - Parameter jobs: nil where the server keeps none.
    init(_ configuration: ServerConfiguration, jobs: JobLimits?) {
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
            maxBatchDisks: UInt32(clamping: DiskService.maximumBatchDisks),
            maxJobsPerIdentity: jobs?.unendedPerIdentity ?? 0,
            jobRetention: milliseconds(jobs?.retention) / 1_000
        )
    }
}

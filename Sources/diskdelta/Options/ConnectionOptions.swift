internal import ArgumentParser
internal import DiskDeltaClient
internal import DiskDeltaProtocol
internal import DiskDeltaService
internal import DiskImages
internal import Foundation

/// Whom to ask, and how long to wait for the answer.
struct ConnectionOptions: ParsableArguments {
    @Option(
        help: """
            The server to ask: HOST:PORT, [IPV6]:PORT or unix:/path. Without it, and without DISKDELTA_SERVER, disks are \
            read by this program itself.
            """
    )
    var server: String?

    @Option(help: "How long all of it may take: 500ms, 30s, 5m or 2h.")
    var deadline: DurationArgument?

    /// The server named by the flag, else by the environment; nil where the program is to read disks itself.
    func address() throws -> String? {
        let environment = ProcessInfo.processInfo.environment
        guard let address = server ?? environment["DISKDELTA_SERVER"], !address.isEmpty else { return nil }
        // A person who set these believes that the connection is protected by them.
        for name in ["DISKDELTA_CA", "DISKDELTA_CERTIFICATE", "DISKDELTA_KEY", "DISKDELTA_TOKEN_FILE"]
        where !(environment[name] ?? "").isEmpty {
            throw ValidationError(
                "\(name) is set, and this version cannot protect a connection: unset it to go on without"
            )
        }
        return address
    }

    /// Lends `body` a client, one that is connected to the server or one that asks the services of this process, and the
    /// options for its next call, which has what is left of the time.
    func withClient<Result>(
        _ body: (DiskDeltaClient, () -> CallOptions) async throws -> Result
    ) async throws -> Result {
        let start = ContinuousClock.now
        let options = { CallOptions(timeout: deadline.map { $0.duration - (ContinuousClock.now - start) }) }
        guard let address = try address() else {
            var router = ServiceRouter()
            router.register(DiskService(files: LocalFiles()))
            return try await body(DiskDeltaClient(InProcessInvoker(router)), options)
        }
        return try await withDiskDeltaClient(to: address, timeout: deadline?.duration) { client in
            try await body(client, options)
        }
    }
}

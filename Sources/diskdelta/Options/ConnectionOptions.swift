internal import ArgumentParser
internal import DiskDeltaClient
internal import DiskDeltaProtocol
internal import DiskDeltaService
internal import DiskImages
internal import Foundation

/// Whom to ask, how to prove to each other who one is, and how long to wait for the answer.
struct ConnectionOptions: ParsableArguments {
    /// How long it is tried to resume an answer that broke, unless said otherwise.
    static let standardPatience = Duration.seconds(5)

    @Option(
        help: """
            The server to ask: HOST:PORT, [IPV6]:PORT or unix:/path. Without it, and without DISKDELTA_SERVER, disks are \
            read by this program itself.
            """
    )
    var server: String?

    @Option(help: "Use TLS, and trust the server if one of the authorities in this PEM file does (DISKDELTA_CA).")
    var ca: String?

    @Option(help: "Use TLS, and show the certificate in this PEM file; needs --key (DISKDELTA_CERTIFICATE).")
    var certificate: String?

    @Option(help: "The PEM file with the key of the certificate (DISKDELTA_KEY).")
    var key: String?

    @Option(
        name: .customLong("token-file"),
        help: "Show the token in this file, a line of text (DISKDELTA_TOKEN_FILE)."
    )
    var tokenFile: String?

    @Option(help: "How long all of it may take: 500ms, 30s, 5m or 2h.")
    var deadline: DurationArgument?

    @Option(
        help: "How long to try to resume an answer that broke, without getting further; 5s by default, 0s not at all."
    )
    var patience: PatienceArgument?

    /// The first flag given that has a meaning only where a server is asked.
    var flagAboutServer: String? {
        let flags: [(name: String, isGiven: Bool)] = [
            ("--server", server != nil), ("--ca", ca != nil), ("--certificate", certificate != nil),
            ("--key", key != nil), ("--token-file", tokenFile != nil), ("--patience", patience != nil),
        ]
        return flags.first(where: \.isGiven)?.name
    }

    /// The server named by the flag, else by the environment; nil where the program is to read disks itself.
    func access() throws -> ServerAccess? {
        guard let address = server ?? ServerAccess.variable("DISKDELTA_SERVER"), !address.isEmpty else {
            guard let flag = flagAboutServer, flag != "--server" else { return nil }
            throw ValidationError("\(flag) is about a server: name one with --server or DISKDELTA_SERVER")
        }
        return try ServerAccess(
            address: address,
            ca: ca ?? ServerAccess.variable("DISKDELTA_CA"),
            certificate: certificate ?? ServerAccess.variable("DISKDELTA_CERTIFICATE"),
            key: key ?? ServerAccess.variable("DISKDELTA_KEY"),
            tokenFile: tokenFile ?? ServerAccess.variable("DISKDELTA_TOKEN_FILE"),
            patience: patience?.duration ?? Self.standardPatience
        )
    }

    /// Lends `body` a client, one that is connected to the server or one that asks the services of this process, and the
    /// options for its next call, which has what is left of the time.
    func withClient<Result>(
        _ body: (DiskDeltaClient, () -> CallOptions) async throws -> Result
    ) async throws -> Result {
        let start = ContinuousClock.now
        let options = { CallOptions(timeout: deadline.map { $0.duration - (ContinuousClock.now - start) }) }
        guard let access = try access() else {
            var router = ServiceRouter()
            router.register(DiskService(files: LocalFiles()))
            return try await body(DiskDeltaClient(InProcessInvoker(router)), options)
        }
        let client = try access.client()
        do {
            try await client.connect(options: options())
            let result = try await body(client, options)
            await client.close()
            return result
        } catch {
            await client.close()
            throw error
        }
    }
}

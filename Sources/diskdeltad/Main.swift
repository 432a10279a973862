internal import ArgumentParser
internal import DiskDeltaServer
internal import Foundation
internal import Logging

/// `diskdeltad`: serves the disks of its roots.
@main
struct DiskDeltaDaemon: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diskdeltad",
        abstract: "Serve the question which byte ranges of a virtual disk changed.",
        discussion: """
            A setting comes from its flag, else from its environment variable (DISKDELTAD_ROOT, DISKDELTAD_LISTEN, …; lists \
            are separated by commas), else from the configuration file, which has a line "name = value" for each. When the \
            server is ready it prints "listening on ADDRESS" for each listener, and tells systemd where that has started it. \
            SIGTERM and SIGINT stop it: calls under way may end first. SIGHUP makes it read the files of certificates, keys, \
            tokens and the policy again; it notices by itself when they change.
            """,
        version: Server.version
    )

    @Option(help: "The configuration file.")
    var config: String?

    @Option(help: ArgumentHelp("A folder whose disks may be asked about. May be repeated.", valueName: "NAME=DIR"))
    var root: [String] = []

    @Option(
        help: ArgumentHelp(
            "Where to listen: HOST:PORT, [V6]:PORT or unix:/path. May be repeated; \(Settings.standardListen) by default.",
            valueName: "ADDRESS"
        )
    )
    var listen: [String] = []

    @Option(
        name: .customLong("metrics-listen"),
        help: ArgumentHelp(
            "Where to serve figures for Prometheus and a health page, over plain HTTP. Nowhere by default.",
            valueName: "HOST:PORT"
        )
    )
    var metricsListen: String?

    @Option(
        name: .customLong("tls-certificate"),
        help: ArgumentHelp("The certificate of this server, in PEM. TCP listeners then speak TLS.", valueName: "FILE")
    )
    var tlsCertificate: String?

    @Option(name: .customLong("tls-key"), help: ArgumentHelp("The key of the certificate, in PEM.", valueName: "FILE"))
    var tlsKey: String?

    @Option(
        name: .customLong("client-ca"),
        help: ArgumentHelp("The authorities whose certificates prove who a client is, in PEM.", valueName: "FILE")
    )
    var clientCA: String?

    @Option(
        name: .customLong("token-file"),
        help: ArgumentHelp("The hashes of the tokens that prove who a client is.", valueName: "FILE")
    )
    var tokenFile: String?

    @Option(
        name: .customLong("policy-file"),
        help: ArgumentHelp("Who may do what on which roots.", valueName: "FILE")
    )
    var policyFile: String?

    @Option(
        name: .customLong("max-calls-per-identity"),
        help: ArgumentHelp(
            "How many calls one client may have under way; \(Settings().maximumCallsPerIdentity) by default.",
            valueName: "N"
        )
    )
    var maximumCallsPerIdentity: String?

    @Option(
        help: ArgumentHelp("The folder for jobs, which outlive the server. None are kept by default.", valueName: "DIR")
    )
    var state: String?

    @Option(name: .customLong("log-level"), help: "trace, debug, info, notice, warning, error or critical.")
    var logLevel: String?

    @Option(name: .customLong("log-format"), help: "text or json.")
    var logFormat: String?

    @Flag(help: "Listen where others than this machine's users can connect, without protection.")
    var insecure = false

    func run() async throws {
        var flags: [SettingName: [String]] = [:]
        if let config { flags[.config] = [config] }
        if !root.isEmpty { flags[.root] = root }
        if !listen.isEmpty { flags[.listen] = listen }
        if let metricsListen { flags[.metricsListen] = [metricsListen] }
        if let tlsCertificate { flags[.tlsCertificate] = [tlsCertificate] }
        if let tlsKey { flags[.tlsKey] = [tlsKey] }
        if let clientCA { flags[.clientCA] = [clientCA] }
        if let tokenFile { flags[.tokenFile] = [tokenFile] }
        if let policyFile { flags[.policyFile] = [policyFile] }
        if let maximumCallsPerIdentity { flags[.maximumCallsPerIdentity] = [maximumCallsPerIdentity] }
        if let state { flags[.state] = [state] }
        if let logLevel { flags[.logLevel] = [logLevel] }
        if let logFormat { flags[.logFormat] = [logFormat] }
        if insecure { flags[.insecure] = ["true"] }
        let environment = ProcessInfo.processInfo.environment
        let settings = try Settings.resolve(
            flags: flags,
            environment: environment,
            readFile: { try? String(contentsOfFile: $0, encoding: .utf8) }
        )
        LoggingSystem.bootstrap { _ in LineLogHandler(format: settings.logFormat) }
        var logger = Logger(label: "diskdeltad")
        logger.logLevel = settings.logLevel
        let stopSignal = StopSignal()
        let reloadSignal = ReloadSignal()
        let manager = ServiceManager(environment: environment)
        let server = try await Server.start(
            settings,
            inheriting: manager.inheritedDescriptors(),
            metrics: PrometheusRegistry.bootstrapProcess(),
            logger: logger
        )
        let reloading = Task {
            await reloadSignal.forEach {
                manager.tell(.reloading)
                server.reload()
                manager.tell(.ready)
            }
        }
        for address in server.addresses {
            print("listening on \(address)")
        }
        fflush(nil)
        manager.tell(.ready)
        await stopSignal.wait()
        reloading.cancel()
        manager.tell(.stopping)
        await server.stop()
    }

    /// A bad setting is one clear line and exit code 2; help is no failure.
    static func main() async {
        signal(SIGPIPE, SIG_IGN)
        do {
            let command = try parse()
            try await command.run()
        } catch {
            let isHelp = exitCode(for: error).isSuccess
            if isHelp { exit(withError: error) }
            let line = message(for: error).replacingOccurrences(of: "\n", with: " ")
            // Not through FileHandle, which ends the program where standard error is closed.
            let bytes = Array("diskdeltad: \(line)\n".utf8)
            _ = Foundation.write(STDERR_FILENO, bytes, bytes.count)
            Foundation.exit(error is StartFailure ? 1 : 2)
        }
    }
}

public import Logging

/// What a server is told at its start.
public struct Settings: Sendable, Hashable {
    /// `NAME=DIRECTORY` of each root.
    public var roots: [String] = []
    /// Where to listen: `HOST:PORT`, `[V6]:PORT` or `unix:/path`.
    public var listen: [String] = []
    /// Whether nobody said where to listen, so that `listen` is what there is without that.
    public var listensByDefault = false
    public var logLevel: Logger.Level = .info
    public var logFormat = LogFormat.text
    /// Where to serve metrics, `HOST:PORT` or `[V6]:PORT`; nil serves none.
    public var metricsListen: String?
    /// The server's certificate, with those that lead to its authority behind it, in PEM.
    public var tlsCertificate: String?
    /// The key of the certificate, in PEM.
    public var tlsKey: String?
    /// The authorities whose certificates prove who a client is, in PEM.
    public var clientCA: String?
    /// The tokens that prove who a client is.
    public var tokenFile: String?
    /// Who may do what on which roots.
    public var policyFile: String?
    /// How many calls one identity may have under way.
    public var maximumCallsPerIdentity = 256
    /// The folder for what outlives the server: jobs. Nil keeps none.
    public var state: String?
    /// Whether to listen without protection where others than this machine's own users can connect.
    public var isInsecure = false

    public static let standardListen = "127.0.0.1:7420"

    /// The most calls that one identity can be allowed to have under way. The server has a limit of its own besides.
    static let mostCallsPerIdentity = 1_000_000

    public init() {}

    /// The settings of a start: each from its flag, else from the environment, else from the file.
    ///
    /// - Parameters:
    ///   - flags: what the command line says, by the name of the setting; a setting that is not there was not said.
    ///   - environment: variables; those that matter are named `DISKDELTAD_` and the name of the setting.
    ///   - readFile: the text of a configuration file; nil where it cannot be read.
    /// - Throws: `SettingsError` for a value that is not allowed, or a setting that does not exist.
    public static func resolve(
        flags: [SettingName: [String]],
        environment: [String: String],
        readFile: (String) -> String?
    ) throws(SettingsError) -> Settings {
        var values = flags
        for name in SettingName.allCases where values[name] == nil {
            guard let text = environment[name.variable], !text.isEmpty else { continue }
            values[name] = name.isList ? text.split(separator: ",").map(String.init) : [text]
        }
        if let path = values[.config]?.last {
            guard let text = readFile(path) else {
                throw SettingsError(message: "The configuration file \(path) cannot be read")
            }
            let file = try SettingsFile.parse(text, named: path)
            for (name, lines) in file where values[name] == nil { values[name] = lines }
        }
        return try Settings(values)
    }

    private init(_ values: [SettingName: [String]]) throws(SettingsError) {
        roots = values[.root] ?? []
        listen = values[.listen] ?? [Self.standardListen]
        listensByDefault = values[.listen] == nil
        if let text = values[.logLevel]?.last {
            guard let level = Logger.Level(rawValue: text) else {
                let known = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
                throw SettingsError(message: "The log level \"\(text)\" is not one of \(known)")
            }
            logLevel = level
        }
        if let text = values[.logFormat]?.last {
            guard let format = LogFormat(rawValue: text) else {
                let known = LogFormat.allCases.map(\.rawValue).joined(separator: ", ")
                throw SettingsError(message: "The log format \"\(text)\" is not one of \(known)")
            }
            logFormat = format
        }
        metricsListen = values[.metricsListen]?.last
        tlsCertificate = values[.tlsCertificate]?.last
        tlsKey = values[.tlsKey]?.last
        clientCA = values[.clientCA]?.last
        tokenFile = values[.tokenFile]?.last
        policyFile = values[.policyFile]?.last
        if let text = values[.maximumCallsPerIdentity]?.last {
            guard let count = Int(text), (1...Self.mostCallsPerIdentity).contains(count) else {
                throw SettingsError(
                    message: "The setting max-calls-per-identity is \"\(text)\" and must be a number from 1 to "
                        + "\(Self.mostCallsPerIdentity)"
                )
            }
            maximumCallsPerIdentity = count
        }
        state = values[.state]?.last
        if let text = values[.insecure]?.last {
            switch text {
            case "true", "yes", "1": isInsecure = true
            case "false", "no", "0": isInsecure = false
            default: throw SettingsError(message: "The setting insecure is \"\(text)\" and must be true or false")
            }
        }
    }
}

/// The settings there are, under the names of their flags.
public enum SettingName: String, CaseIterable, Sendable {
    case config, root, listen, state
    case metricsListen = "metrics-listen"
    case tlsCertificate = "tls-certificate"
    case tlsKey = "tls-key"
    case clientCA = "client-ca"
    case tokenFile = "token-file"
    case policyFile = "policy-file"
    case maximumCallsPerIdentity = "max-calls-per-identity"
    case logLevel = "log-level"
    case logFormat = "log-format"
    case insecure

    /// `DISKDELTAD_LOG_LEVEL`
    public var variable: String {
        "DISKDELTAD_" + rawValue.uppercased().map { $0 == "-" ? "_" : String($0) }.joined()
    }

    /// Whether it may be given more than once; in the environment, separated by commas.
    public var isList: Bool { self == .root || self == .listen }
}

/// A setting that is not allowed.
public struct SettingsError: Error, Hashable, Sendable, CustomStringConvertible {
    /// One sentence that a person can act on.
    public let message: String

    public var description: String { message }
}

import DiskDeltaClient
import DiskDeltaProtocol
import DiskDeltaServer
import DiskDeltaTransport
import DiskImages
import Foundation
import Logging
import Synchronization
import TestSupport

/// A server with two roots, `a` and `b`, of whose security a test decides. It listens on a free port of this machine and on a
/// Unix socket.
///
/// - `a/base.vhdx` is a disk, and `a/child.avhdx` stands on it
/// - `b/base.vhdx` is a disk
/// - `a/across.avhdx` stands on `b/base.vhdx`
final class GuardedServer: Sendable {
    let server: Server
    let folder: TemporaryFolder
    let audit: RecordedLog
    let log: RecordedLog

    static let identifier = GUID(high: 0x5555_5555_5555_4555, low: 0x8555_5555_5555_5555)

    var tcp: Endpoint { get throws { try Endpoint(server.addresses[0]) } }
    var unix: Endpoint { get throws { try Endpoint(server.addresses[1]) } }

    /// Lends a server to `body`, and stops it.
    ///
    /// - Parameters:
    ///   - files: the text of files to be, by name.
    ///   - change: of the settings; it is given the folder that the files are in.
    static func with(
        files: [String: String] = [:],
        _ change: (inout Settings, TemporaryFolder) throws -> Void,
        _ body: (GuardedServer) async throws -> Void
    ) async throws {
        let folder = try TemporaryFolder()
        for (name, text) in files { try text.write(toFile: folder.file(name), atomically: true, encoding: .utf8) }
        try makeDisks(in: folder)
        var settings = Settings()
        settings.roots = ["a=\(folder.file("a"))", "b=\(folder.file("b"))"]
        settings.listen = ["127.0.0.1:0", "unix:\(folder.file("socket"))"]
        try change(&settings, folder)
        let (audit, log) = (RecordedLog(), RecordedLog())
        let server = try await Server.start(settings, logger: log.logger("test"), audit: audit.logger("audit"))
        let guarded = GuardedServer(server, folder, audit, log)
        do {
            try await body(guarded)
        } catch {
            await server.stop()
            throw error
        }
        await server.stop()
    }

    private init(_ server: Server, _ folder: TemporaryFolder, _ audit: RecordedLog, _ log: RecordedLog) {
        self.server = server
        self.folder = folder
        self.audit = audit
        self.log = log
    }

    private static func makeDisks(in folder: TemporaryFolder) throws {
        for name in ["a", "b"] {
            try FileManager.default.createDirectory(atPath: folder.file(name), withIntermediateDirectories: true)
            var base = VHDXBuilder(virtualSize: 1 << 20, blockSize: 1 << 20)
            base.dataWriteGUID = identifier
            try base.write(to: folder.file("\(name)/base.vhdx"))
        }
        for (name, parent) in [("child", "base.vhdx"), ("across", "..\\b\\base.vhdx")] {
            var child = VHDXBuilder(virtualSize: 1 << 20, blockSize: 1 << 20)
            child.dataWriteGUID = GUID(high: 0xC, low: 0xC)
            child.setParent(identifier, path: parent)
            try child.write(to: folder.file("a/\(name).avhdx"))
        }
    }

    /// A client over TCP with TLS.
    func connect(_ identity: IssuedCertificate? = nil) async throws -> RPCConnection {
        let authority = try TestCertificates.shared().authority
        return try await RPCConnection.connect(
            to: try tcp,
            tls: TLSOptions(
                authorities: .file(authority.certificate),
                identity: identity.map { TLSOptions.Identity(certificateFile: $0.certificate, keyFile: $0.key) }
            ),
            logger: RecordedLog().logger("client")
        )
    }

    /// A client over the Unix socket.
    func connectLocally() async throws -> RPCConnection {
        try await RPCConnection.connect(to: try unix, logger: RecordedLog().logger("client"))
    }

    /// Waits until the server has written as many lines for calls.
    func audited(_ count: Int) async throws -> [RecordedLog.Line] {
        while audit.all.count < count { try await Task.sleep(for: .milliseconds(2)) }
        return audit.all
    }

    /// Writes a file anew, as an administrator would.
    func write(_ text: String, to name: String) throws {
        try text.write(toFile: folder.file(name), atomically: true, encoding: .utf8)
    }
}

extension RPCConnection {
    /// This connection with a token for each call.
    func with(token: String) throws -> any CallInvoker {
        intercepted(by: [try TokenAuthentication(token)])
    }
}

extension CallInvoker {
    /// Who the server takes the caller to be, or the reason why it does not answer.
    func identity() async -> String {
        do throws(CallError) {
            return try await ServerInfoClient(self).getServerInfo(GetServerInfoRequest()).identity
        } catch {
            return error.reason.name
        }
    }

    /// "OK", or why a disk is not described.
    func ask(about disk: String) async -> String {
        do throws(CallError) {
            _ = try await ImageManagementClient(self).getVirtualHardDiskSettingData(VirtualHardDiskRequest(path: disk))
            return "OK"
        } catch {
            return error.reason.name
        }
    }
}

/// What is logged.
final class RecordedLog: Sendable {
    struct Line: Sendable {
        let level: Logger.Level
        let message: String
        let fields: [String: String]
    }

    private let lines = Mutex<[Line]>([])

    var all: [Line] { lines.withLock(\.self) }

    /// Everything as one text.
    var text: String { all.map { "\($0.level) \($0.message) \($0.fields)" }.joined(separator: "\n") }

    func logger(_ label: String) -> Logger {
        Logger(label: label) { _ in Handler(log: self) }
    }

    private struct Handler: LogHandler {
        let log: RecordedLog
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.info

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let fields = metadata.merging(event.metadata ?? [:]) { $1 }
            let line = Line(
                level: event.level,
                message: event.message.description,
                fields: fields.mapValues { $0.description }
            )
            log.lines.withLock { $0.append(line) }
        }
    }
}

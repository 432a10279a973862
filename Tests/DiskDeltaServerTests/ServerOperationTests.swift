import DiskDeltaProtocol
import DiskDeltaTransport
import Logging
import TestSupport
import Testing

@testable import DiskDeltaServer

@Suite("A running server, as an operator sees it", .timeLimit(.minutes(2)))
struct ServerOperationTests {
    private let registry = PrometheusRegistry()

    private func start(
        _ folder: TemporaryFolder,
        _ change: (inout Settings) -> Void = { _ in }
    ) async throws -> Server {
        var settings = Settings()
        change(&settings)
        settings.roots = ["d=\(folder.path)"]
        settings.listen = ["unix:\(folder.file("socket"))"]
        let quiet = Logger(label: "quiet") { _ in SwiftLogNoOpLogHandler() }
        return try await Server.start(settings, metrics: registry, logger: quiet, audit: quiet)
    }

    private func connect(_ server: Server) async throws -> RPCConnection {
        try await RPCConnection.connect(to: try Endpoint(server.addresses[0]))
    }

    @Test("Who watches is told of the stop, and does not hold it up")
    func watching() async throws {
        let folder = try TemporaryFolder()
        let server = try await start(folder)
        let connection = try await connect(server)
        let watch = try await HealthClient(connection).watch(HealthCheckRequest())
        #expect(try await watch.next()?.status == .serving)
        let unknown = try await HealthClient(connection).watch(HealthCheckRequest(service: "none"))
        #expect(try await unknown.next()?.status == .serviceUnknown)
        async let stopped: Void = server.stop()
        #expect(try await watch.next()?.status == .notServing)
        // Success, and not an answer that was cut.
        #expect(try await watch.next() == nil)
        #expect(try await unknown.next() == nil)
        await stopped
        #expect(registry.text.contains("diskdelta_serving 0\n"))
    }

    @Test("One client has as many calls as the settings say, and one more is told when to come again")
    func callsPerIdentity() async throws {
        let folder = try TemporaryFolder()
        let server = try await start(folder) { $0.maximumCallsPerIdentity = 2 }
        let connection = try await connect(server)
        let info = try await ServerInfoClient(connection).getServerInfo(GetServerInfoRequest())
        #expect(info.limits?.maxCallsPerIdentity == 2)
        var watches: [TypedCall<HealthCheckResponse>] = []
        // The call before may have its place for a moment more.
        while watches.count < 2 {
            let watch = try await HealthClient(connection).watch(HealthCheckRequest())
            if (try? await watch.next()) != nil { watches.append(watch) }
        }
        let other = try await connect(server)
        let error = await #expect(throws: CallError.self) {
            try await ServerInfoClient(other).getServerInfo(GetServerInfoRequest())
        }
        #expect(error?.reason == .resourceLimit && error?.isUnbegun == true && (error?.retryDelay ?? 0) >= 100)
        await other.close()
        await server.stop()
        #expect(registry.text.contains("diskdelta_calls_refused_total{limit=\"client\"}"))
    }

    @Test func figures() async throws {
        let folder = try TemporaryFolder()
        let server = try await start(folder)
        let connection = try await connect(server)
        let info = try await ServerInfoClient(connection).getServerInfo(GetServerInfoRequest())
        #expect(info.features == ["heartbeat", "resume"])
        #expect(info.methods.contains("diskdelta.v1.Health/Watch"))
        #expect(info.methods.contains("diskdelta.v1.ServerInfo/GetFileDescriptorSet"))
        #expect(info.limits?.minPingInterval == 10_000)
        #expect(info.limits?.connectionIdleTime == 300_000)
        #expect(info.limits?.stallTime == 3_600_000)
        #expect(info.limits?.maxCallsPerIdentity == 256)
        let call = try await ImageManagementClient(connection).getVirtualDiskChanges(
            GetVirtualDiskChangesRequest(path: "d/none.vhdx", limitID: "x")
        )
        await #expect(throws: CallError.self) { try await call.next() }
        await connection.close()
        await server.stop()
        let text = registry.text
        for line in [
            "diskdelta_calls_started_total{method=\"diskdelta.v1.ServerInfo/GetServerInfo\"} 1",
            "diskdelta_calls_ended_total{method=\"diskdelta.v1.ImageManagement/GetVirtualDiskChanges\","
                + "status=\"NOT_FOUND\",reason=\"FILE_NOT_FOUND\"} 1",
            "diskdelta_calls_active{method=\"diskdelta.v1.ImageManagement/GetVirtualDiskChanges\"} 0",
            "diskdelta_connections_accepted_total 1", "diskdelta_connections_open 0", "diskdelta_serving 0",
        ] {
            #expect(text.contains(line + "\n"), "\(line)\n\(text)")
        }
    }

    @Test("A listener for metrics that cannot be had stops the start")
    func metricsListen() async throws {
        let folder = try TemporaryFolder()
        for address in ["unix:/x", "localhost", "127.0.0.1:x"] {
            var settings = Settings()
            settings.listen = ["unix:\(folder.file("socket"))"]
            settings.metricsListen = address
            let quiet = Logger(label: "quiet") { _ in SwiftLogNoOpLogHandler() }
            let error = await #expect(throws: SettingsError.self) {
                try await Server.start(settings, metrics: registry, logger: quiet)
            }
            #expect(error?.message.contains("metrics-listen") == true)
        }
    }
}

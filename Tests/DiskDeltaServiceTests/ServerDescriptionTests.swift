import DiskDeltaProtocol
import Foundation
import TestSupport
import Testing

@testable import DiskDeltaService

@Suite("What a server says of itself")
struct ServerDescriptionTests {
    private let limits = ServerLimits(
        maxFrameSize: 262_144,
        maxRequestSize: 65_536,
        maxStreams: 64,
        minPingInterval: 10_000,
        maxMetadataSize: 8_192,
        connectionIdleTime: 300_000,
        stallTime: 3_600_000
    )
    private let client: ServerInfoClient

    init() {
        var router = ServiceRouter()
        router.register(ServerDescription(limits: limits, methods: ["a/b"], features: ["heartbeat", "tls"]))
        client = ServerInfoClient(InProcessInvoker(router, identity: "me"))
    }

    @Test func serverInfo() async throws {
        let info = try await client.getServerInfo(GetServerInfoRequest())
        #expect(info.version == ServerDescription.version)
        #expect(info.identity == "me")
        #expect(info.formats == [.vhdx, .vhd, .vhdset, .qcow2, .raw])
        #expect(info.limits == limits)
        #expect(info.methods == ["a/b"])
        #expect(info.features == ["heartbeat", "tls"])
    }

    private static let protoc = BuiltProgram("protoc", candidates: ["/usr/bin/protoc", "/usr/local/bin/protoc"])

    @Test(
        "The schema that a server hands out is complete in itself, and is the one it speaks",
        .enabled(if: protoc.isBuilt, "protoc is not installed (Debian: protobuf-compiler)")
    )
    func fileDescriptorSet() async throws {
        let response = try await client.getFileDescriptorSet(GetFileDescriptorSetRequest())
        let bytes = Array(response.fileDescriptorSet)
        #expect(bytes.count > 1_000)
        let folder = try TemporaryFolder()
        try Data(bytes).write(to: URL(fileURLWithPath: folder.file("schema")))
        let info = GetServerInfoResponse(version: "1.2", formats: [.vhdx], limits: limits, features: ["tls"])
        try Data(try info.encode()).write(to: URL(fileURLWithPath: folder.file("message")))
        let process = try Self.protoc.process(
            ["--descriptor_set_in=\(folder.file("schema"))", "--decode=diskdelta.v1.GetServerInfoResponse"],
            in: folder
        )
        process.standardInput = try FileHandle(forReadingFrom: URL(fileURLWithPath: folder.file("message")))
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let text = String(decoding: try #require(try output.fileHandleForReading.readToEnd()), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        #expect(
            text == """
                version: "1.2"
                formats: IMAGE_FORMAT_VHDX
                limits {
                  max_frame_size: 262144
                  max_request_size: 65536
                  max_streams: 64
                  min_ping_interval: 10000
                  max_metadata_size: 8192
                  connection_idle_time: 300000
                  stall_time: 3600000
                }
                features: "tls"

                """
        )
    }
}

import DiskDeltaClient
import DiskDeltaProtocol
import Foundation
import Synchronization
import TestSupport
import Testing

/// `summary` and `check`, character by character, at a server whose answers are known.
@Suite(
    "The command line about sums and limits",
    .enabled(if: Programs.diskdelta.isBuilt, "\(Programs.diskdelta.absence)"),
    .timeLimit(.minutes(2))
)
struct SummaryCommandTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private static let disk = ScriptedRanges(
        disk: "d/c.avhdx",
        [ChangedRange(offset: 512, length: 1_024, kind: .data), ChangedRange(offset: 65_536, length: 512, kind: .data)]
    )

    private func run(_ images: ScriptedImages, _ arguments: String...) async throws -> BuiltProgram.Outcome {
        try await ScriptedServer.with(images.router()) { address in
            try await Programs.diskdelta.runAside(["--server", address] + arguments, in: folder)
        }
    }

    private func line(since: String, basis: String, more: String = "") -> String {
        #"{"type":"summary","schema":1,"disk":"d/c.avhdx","size":1048576,"since":"\#(since)","target":"","epoch":"e","#
            + #""basis":"\#(basis)"\#(more),"complete":true,"ranges":2,"bytes":1536,"data_bytes":1536,"zero_bytes":0,"#
            + #""largest":1024,"granularity":512}"# + "\n"
    }

    @Test func sums() async throws {
        for format in ["ndjson", "json"] {
            let images = ScriptedImages([Self.disk])
            let changes = try await run(images, "summary", "d/c.avhdx", "--since", "b", "--format", format)
            #expect(changes.output == line(since: "{b}", basis: "changes") && changes.status == 0)
            let allocated = try await run(images, "summary", "d/c.avhdx", "--format", format)
            #expect(allocated.output == line(since: "", basis: "allocated") && allocated.status == 0)
            #expect(changes.error == "" && allocated.error == "")
            #expect(images.singles.withLock { $0.map(\.limitID) } == ["b"])
        }
        let table = try await run(ScriptedImages([Self.disk]), "summary", "d/c.avhdx", "--format", "table")
        #expect(table.status == 0)
        #expect(table.lines.contains("ranges       2, the largest 1 KiB"))
        #expect(table.lines.contains("bytes        1.5 KiB (1.5 KiB data, 0 B zero) of 1 MiB asked about"))
    }

    @Test func theFlagsAreAsked() async throws {
        let images = ScriptedImages([])
        let outcome = try await run(
            images,
            "summary",
            "x",
            "--since",
            "b",
            "--target",
            "t",
            "--offset",
            "1K",
            "--length",
            "2K",
            "--granularity",
            "4K",
            "--if-epoch",
            "e",
            "--on-unavailable",
            "whole",
            "--image-format",
            "raw",
            "--if-size",
            "0"
        )
        #expect(outcome.status == 3 && outcome.lines.count == 1)
        #expect(outcome.lastText("reason") == "FILE_NOT_FOUND" && outcome.lastNumber("resume_offset") == 1_024)
        let asked = GetVirtualDiskChangesRequest(
            path: "x",
            limitID: "b",
            targetSnapshotID: "t",
            byteOffset: 1_024,
            byteLength: 2_048,
            granularity: 4_096,
            ifEpoch: "e",
            onUnavailable: .whole,
            imageFormat: .raw,
            ifSize: 0
        )
        #expect(images.singles.withLock { $0 } == [asked])
    }

    @Test func somethingElseThanTheChanges() async throws {
        var disk = Self.disk
        disk.fallBack(to: .whole, .trackingDisabled, "it was off")
        let images = ScriptedImages([disk])
        let outcome = try await run(images, "summary", "d/c.avhdx", "--since", "b", "--on-unavailable", "whole")
        let more = #","basis_reason":"TRACKING_DISABLED","basis_message":"it was off""#
        #expect(outcome.output == line(since: "", basis: "whole", more: more) && outcome.status == 0)
        #expect(
            outcome.error
                == "diskdelta: warning: d/c.avhdx: the changes cannot be told, so this is the whole window:"
                + " TRACKING_DISABLED: it was off\n"
        )
    }

    @Test("Sums that contradict each other are not printed", arguments: ["ndjson", "json", "table"])
    func contradiction(format: String) async throws {
        var disk = Self.disk
        disk.header.windowLength = 512
        let outcome = try await run(ScriptedImages([disk]), "summary", "d/c.avhdx", "--since", "b", "--format", format)
        #expect(outcome.status == 9)
        #expect(format == "table" ? outcome.output == "" : outcome.lastText("reason") == "ANSWER_INVALID")
    }

    @Test("The limits of a server that has them")
    func limits() async throws {
        let limits = ServerLimits(
            maxFrameSize: 262_144,
            maxRequestSize: 65_536,
            maxStreams: 64,
            maxCallsPerIdentity: 256,
            maxBatchDisks: 32,
            maxJobsPerIdentity: 8,
            jobRetention: 604_800
        )
        let standard = #""limits":{"max_frame_size":262144,"max_request_size":65536,"max_streams":64"#
        let further =
            #","max_calls_per_identity":256,"max_batch_disks":32,"max_jobs_per_identity":8,"job_retention":604800}}"#
        for (limits, ending) in [
            (limits, standard + further),
            (ServerLimits(maxFrameSize: 262_144, maxRequestSize: 65_536, maxStreams: 64), standard + "}}"),
        ] {
            var router = ScriptedImages([], limits: limits).router()
            router.register(AlwaysHealthy())
            let outcome = try await ScriptedServer.with(router) { address in
                try await Programs.diskdelta.runAside(["--server", address, "check"], in: folder)
            }
            #expect(outcome.status == 0 && outcome.output.hasSuffix(ending + "\n"), "\(outcome.output)")
        }
    }
}

private struct AlwaysHealthy: HealthService {
    func check(_ request: HealthCheckRequest, context: CallContext) async throws(CallError) -> HealthCheckResponse {
        HealthCheckResponse(status: .serving)
    }
}

import DiskDeltaClient
import DiskDeltaProtocol
import Foundation
import Synchronization
import TestSupport
import Testing

/// `changes --batch` at a server: what is asked in which call, and what is printed.
@Suite(
    "The command line about many disks",
    .enabled(if: Programs.diskdelta.isBuilt, "\(Programs.diskdelta.absence)"),
    .timeLimit(.minutes(2))
)
struct ManyDisksCommandTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private static let ranges = [
        ChangedRange(offset: 512, length: 1_024, kind: .data), ChangedRange(offset: 65_536, length: 512, kind: .data),
    ]

    private static func disk(_ name: String) -> ScriptedRanges { ScriptedRanges(disk: name, ranges) }

    private func list(_ disks: [String], since: String = "{b}") throws -> String {
        let file = folder.file("list-\(UUID().uuidString)")
        let lines = disks.map { #"{"disk":"\#($0)","since":"\#(since)"}"# }
        try Data((lines.joined(separator: "\n") + "\n").utf8).write(to: URL(fileURLWithPath: file))
        return file
    }

    private func run(
        _ images: ScriptedImages,
        _ arguments: [String],
        input: String? = nil,
        tellsLimits: Bool = true
    ) async throws -> BuiltProgram.Outcome {
        try await ScriptedServer.with(images.router(tellsLimits: tellsLimits)) { address in
            try await Programs.diskdelta.runAside(
                ["--server", address, "--patience", "0s", "changes", "--batch"] + arguments,
                input: input,
                in: folder
            )
        }
    }

    private func fields(_ line: String) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    }

    // MARK: Lines

    @Test func linesComeInterleavedAndCarryTheirDisk() async throws {
        let images = ScriptedImages([Self.disk("a"), Self.disk("b")])
        let outcome = try await run(images, [try list(["a", "b"])])
        #expect(outcome.status == 0 && outcome.error == "")
        for name in ["a", "b"] {
            let disk = Self.disk(name)
            let own = outcome.lines.filter { $0.contains(#""disk":"\#(name)""#) }
            #expect(own == [disk.headerLine()] + disk.lines(disk: name))
        }
        let order = try outcome.lines.map { try fields($0)["disk"] as? String }
        #expect(order == ["a", "b", "a", "b", "a", "b", "a", "b"])
        #expect(images.batches.withLock { $0.map { $0.map(\.path) } } == [["a", "b"]])
        #expect(images.singles.withLock { $0.isEmpty })
    }

    @Test func whatALineSaysOfItsDisk() async throws {
        let images = ScriptedImages([])
        let lines = #"{"disk":"a","since":"{1}","image_format":"vhd"}"# + "\n" + #"{"if_size":0,"disk":"b","since":""}"#
        #expect(try await run(images, ["-"], input: lines).status == 3)
        let asked = [
            GetVirtualDiskChangesRequest(path: "a", limitID: "{1}", imageFormat: .vhd),
            GetVirtualDiskChangesRequest(path: "b", ifSize: 0),
        ]
        #expect(images.batches.withLock { $0 } == [asked])
    }

    @Test func theFlagsHoldForEachDisk() async throws {
        let images = ScriptedImages([])
        let lines = #"{"disk":"a","since":"{1}"}"# + "\n" + #"{"since":"{2}","target":"{3}","disk":"b"}"#
        let flags = ["--granularity", "4K", "--offset", "1K", "--length", "2K", "--on-unavailable", "whole"]
        let outcome = try await run(images, ["-"] + flags, input: lines)
        #expect(outcome.status == 3)
        func question(_ disk: String, _ since: String, _ target: String) -> GetVirtualDiskChangesRequest {
            GetVirtualDiskChangesRequest(
                path: disk,
                limitID: since,
                targetSnapshotID: target,
                byteOffset: 1_024,
                byteLength: 2_048,
                granularity: 4_096,
                onUnavailable: .whole
            )
        }
        #expect(images.batches.withLock { $0 } == [[question("a", "{1}", ""), question("b", "{2}", "{3}")]])
        // Nothing was answered: the windows' start.
        #expect(outcome.lines.count == 2 && outcome.lastNumber("resume_offset") == 1_024)
    }

    @Test("No more disks in a call than the server takes, and none twice")
    func parts() async throws {
        let names = ["a", "b", "c", "a", "d", "a", "e"]
        let disks = Set(names).sorted().map(Self.disk)
        for (limit, expected) in [
            (2, [["a", "b"], ["c", "a"], ["d", "a"], ["e"]]), (3, [["a", "b", "c"], ["a", "d", "e"], ["a"]]),
            (0, [["a", "b", "c", "d", "e"], ["a"], ["a"]]), (1, names.map { [$0] }),
        ] {
            let images = ScriptedImages(disks, limits: ServerLimits(maxBatchDisks: UInt32(limit)))
            let outcome = try await run(images, [try list(names)])
            #expect(outcome.status == 0, "\(outcome.error)")
            #expect(images.batches.withLock { $0.map { $0.map(\.path) } } == expected, "\(limit)")
            #expect(outcome.lines.filter { $0.contains(#""type":"end""#) }.count == names.count)
            // An answer about a disk is over before the next about it begins.
            let kinds = try outcome.lines.map(fields).filter { $0["disk"] as? String == "a" }
                .compactMap { $0["type"] as? String }
            #expect(kinds == Array(repeating: ["header", "range", "range", "end"], count: 3).flatMap { $0 })
        }
    }

    @Test func aServerThatDoesNotTellItsLimits() async throws {
        let names = (0..<70).map { "disk-\($0)" }
        let images = ScriptedImages(names.map(Self.disk))
        let outcome = try await run(images, [try list(names)], tellsLimits: false)
        #expect(outcome.status == 0, "\(outcome.error)")
        #expect(images.batches.withLock { $0.map(\.count) } == [64, 6])
    }

    @Test("No request is longer than the server takes")
    func longNames() async throws {
        let names = (0..<40).map { String(repeating: "x", count: 4_000) + "\($0)" }
        let images = ScriptedImages(names.map(Self.disk))
        let outcome = try await run(images, [try list(names)])
        #expect(outcome.status == 0, "\(outcome.error)")
        let counts = images.batches.withLock { $0.map(\.count) }
        #expect(counts.reduce(0, +) == 40 && counts.count > 1)
        #expect(images.batches.withLock { $0.flatMap { $0.map(\.path) } } == names)
    }

    // MARK: Failures

    private let failures = [
        "busy": {
            var error = CallError(.resourceLimit, "too many questions")
            error.retryDelay = 1_500
            return error
        }(),
        "damaged": CallError(.imageCorrupt, "the table is damaged"),
        "unknown": CallError(.baselineUnknown, "no layer has this identity"),
        "ambiguous": CallError(.baselineAmbiguous, "two layers have it"),
    ]

    @Test("The exit code where disks fail")
    func exitCodes() async throws {
        for (names, code) in [
            (["a"], 0), (["a", "unknown"], 5), (["unknown", "ambiguous"], 5), (["a", "missing", "missing2"], 3),
            (["unknown", "missing"], 1), (["a", "damaged"], 9), (["busy"], 7), (["busy", "damaged", "a"], 1),
        ] as [([String], Int32)] {
            for format in ["ndjson", "json", "table"] {
                let images = ScriptedImages([Self.disk("a")], failures: failures)
                let arguments = [try list(names), "--format", format]
                // A call that is refused because there are too many may be made again; that of one disk is, here.
                guard format == "ndjson" || !names.contains("busy") else { continue }
                let outcome = try await run(images, arguments)
                #expect(outcome.status == code, "\(names) \(format): \(outcome.error)")
                #expect(outcome.error.filter { $0 == "\n" }.count == (code == 0 ? 0 : 1), "\(outcome.error)")
                let failed = names.filter { $0 != "a" }.count
                if code != 0 {
                    let noun = names.count == 1 ? "disk has" : "disks have"
                    let told = "diskdelta: \(failed) of \(names.count) \(noun) no complete answer"
                    #expect(outcome.error.hasPrefix(told), "\(outcome.error)")
                }
                if format != "ndjson" { #expect(images.batches.withLock { $0.isEmpty }) }
            }
        }
    }

    @Test func aFailureIsALineWithItsDisk() async throws {
        let images = ScriptedImages([Self.disk("a")], failures: failures)
        let outcome = try await run(images, [try list(["busy", "a"])])
        #expect(
            outcome.lines.contains(
                #"{"type":"error","disk":"busy","status":"RESOURCE_EXHAUSTED","return_value":32778,"#
                    + #""reason":"RESOURCE_LIMIT","detail_code":"","message":"too many questions","resume_offset":0,"#
                    + #""retry_after_ms":1500}"#
            ),
            "\(outcome.output)"
        )
        #expect(outcome.error.contains("RESOURCE_LIMIT: too many questions"))
    }

    @Test("A server that does not answer about many", arguments: ["ndjson", "json", "table"])
    func nobody(format: String) async throws {
        let file = try list(["a", "b", "a"])
        let outcome = try Programs.diskdelta.run(
            ["--server", "127.0.0.1:1", "changes", "--batch", file, "--format", format, "--offset", "1M"],
            in: folder
        )
        #expect(outcome.status == 7)
        #expect(outcome.error.hasPrefix("diskdelta: 3 of 3 disks have no complete answer"))
        #expect(outcome.error.filter { $0 == "\n" }.count == 1)
        switch format {
        case "ndjson":
            #expect(try outcome.lines.map { try fields($0)["disk"] as? String } == ["a", "b", "a"])
            for line in outcome.lines {
                #expect(try fields(line)["reason"] as? String == "SERVER_UNAVAILABLE")
                #expect(try fields(line)["resume_offset"] as? Int == 1 << 20)
            }
        case "json":
            let answers = try #require(try fields(outcome.output)["answers"] as? [[String: Any]])
            #expect(answers.map { $0["disk"] as? String } == ["a", "b", "a"])
            #expect(answers.allSatisfy { $0["header"] is NSNull && ($0["error"] as? [String: Any]) != nil })
        default:
            #expect(outcome.lines.filter { $0.hasPrefix("FAILED: SERVER_UNAVAILABLE") }.count == 3)
        }
    }

    // MARK: The other forms

    @Test func oneDocument() async throws {
        let images = ScriptedImages([Self.disk("a"), Self.disk("b")])
        let outcome = try await run(images, [try list(["a", "missing", "b"]), "--format", "json"])
        func part(_ name: String) -> String {
            let disk = Self.disk(name)
            let lines = disk.lines()
            let ranges = lines.dropLast().joined(separator: ",")
            return
                #"{"disk":"\#(name)","header":\#(disk.headerLine()),"ranges":[\#(ranges)],"end":\#(lines.last ?? "")}"#
        }
        let missing =
            #"{"disk":"missing","header":null,"ranges":[],"error":{"type":"error","status":"NOT_FOUND","#
            + #""return_value":32779,"reason":"FILE_NOT_FOUND","detail_code":"","#
            + #""message":"missing: There is no such file.","resume_offset":0}}"#
        #expect(outcome.output == #"{"answers":[\#(part("a")),\#(missing),\#(part("b"))]}"# + "\n")
        #expect(outcome.status == 3)
        #expect(images.batches.withLock { $0.isEmpty })
        #expect(images.singles.withLock { $0.map(\.path) } == ["a", "missing", "b"])
    }

    @Test func tables() async throws {
        let images = ScriptedImages([Self.disk("a"), Self.disk("b")])
        let outcome = try await run(images, [try list(["a", "missing", "b"]), "--format", "table"])
        #expect(outcome.status == 3)
        let rows = outcome.lines.filter {
            $0.hasPrefix("disk") || $0.hasPrefix("complete") || $0.hasPrefix("FAILED")
        }
        let complete = "complete: 2 ranges, 1.5 KiB (1.5 KiB data, 0 B zero) of 1 MiB asked about"
        #expect(
            rows == [
                "disk         a", complete, "disk         missing",
                "FAILED: FILE_NOT_FOUND: missing: There is no such file.", "disk         b", complete,
            ]
        )
    }

    @Test("A list of no disks is complete", arguments: [("ndjson", ""), ("json", "{\"answers\":[]}\n"), ("table", "")])
    func nothing(format: String, output: String) async throws {
        let images = ScriptedImages([])
        for input in ["", "\n \n\r\n"] {
            let outcome = try await run(images, ["-", "--format", format], input: input)
            #expect(outcome.status == 0 && outcome.output == output && outcome.error == "")
        }
        #expect(images.batches.withLock { $0.isEmpty } && images.singles.withLock { $0.isEmpty })
    }

    @Test func somethingElseThanTheChanges() async throws {
        var disk = Self.disk("a")
        disk.fallBack(to: .allocated, .baselineUnknown, "no layer has this identity")
        let images = ScriptedImages([disk, Self.disk("b")])
        let told = disk.headerLine(
            more: #","basis_reason":"BASELINE_UNKNOWN","basis_message":"no layer has this identity""#
        )
        let many = try await run(images, [try list(["a", "b"]), "--on-unavailable", "allocated"])
        #expect(many.status == 0)
        #expect(many.lines.contains(told) && many.lines.contains(Self.disk("b").headerLine()))
        let warning =
            "diskdelta: warning: a: the changes cannot be told, so this is all that holds data: BASELINE_UNKNOWN:"
            + " no layer has this identity\n"
        #expect(many.error == warning)
        for format in ["ndjson", "json", "table"] {
            let one = try await ScriptedServer.with(images.router()) { address in
                try await Programs.diskdelta.runAside(
                    ["--server", address, "changes", "a", "--since", "x", "--format", format]
                        + ["--on-unavailable", "allocated"],
                    in: folder
                )
            }
            #expect(one.status == 0 && one.error == warning, "\(one.error)")
            #expect(format == "table" ? one.output.contains("basis        allocated") : one.output.contains(told))
        }
    }
}

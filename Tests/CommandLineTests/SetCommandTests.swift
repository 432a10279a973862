import Foundation
import TestSupport
import Testing

/// Catalogues made and shown by the program, and asked about by it.
@Suite("set", .enabled(if: Program.isBuilt, "\(Program.absence)"))
struct SetCommandTests {
    private static let snapshotID = "{aaaaaaaa-1111-4111-8111-111111111111}"
    private let disks: SmallDisks

    init() throws { disks = try SmallDisks() }

    private func run(_ arguments: String..., environment: [String: String] = [:]) throws -> Program.Outcome {
        try Program.run(arguments, environment: environment, in: disks.folder)
    }

    /// A set of `child.avhdx` with a snapshot whose state is `base.vhdx`.
    private func makeSet() throws {
        #expect(try run("set", "init", "web.vhdset.json").status == 0)
        let added = try run(
            "set",
            "add",
            "web.vhdset.json",
            "--snapshot-id",
            "AAAAAAAA-1111-4111-8111-111111111111",
            "--leaf",
            "child.avhdx",
            "--created",
            "2023-11-23T20:58:45+01:00"
        )
        #expect(added.status == 0, "\(added.error)")
        #expect(added.error == "")
    }

    @Test(arguments: ["ndjson", "json"]) func whatASetIs(format: String) throws {
        let made = try run("set", "init", "web.vhdset.json", "--format", format)
        #expect(
            made.lines == [
                #"{"type":"set","schema":1,"path":"web.vhdset.json","leaf":"","chain":[],"snapshots":[]}"#
            ]
        )
        #expect(try run("info", "web.vhdset.json").status == 9)
        let added = try run(
            "set",
            "add",
            "web.vhdset.json",
            "--snapshot-id",
            Self.snapshotID,
            "--leaf",
            "child.avhdx",
            "--created",
            "2023-11-23T20:58:45Z",
            "--format",
            format
        )
        let expected =
            #"{"type":"set","schema":1,"path":"web.vhdset.json","leaf":"child.avhdx","chain":["#
            + #"{"path":"child.avhdx","format":"vhdx","identifier":"\#(SmallDisks.childID)"},"#
            + #"{"path":"base.vhdx","format":"vhdx","identifier":"\#(SmallDisks.baseID)"}],"snapshots":["#
            + #"{"id":"\#(Self.snapshotID)","path":"base.vhdx","created":"2023-11-23T20:58:45Z","usable":true,"#
            + #""target":true,"layer":"base.vhdx","message":""}]}"#
        #expect(added.lines == [expected])
        #expect(try run("set", "list", "web.vhdset.json", "--format", format).lines == [expected])
        let table = try run("set", "list", "web.vhdset.json", "--format", "table")
        #expect(table.output.contains(Self.snapshotID) && table.output.contains("child.avhdx"))
    }

    @Test func aSnapshotIsABaseline() throws {
        try makeSet()
        let outcome = try run("changes", "web.vhdset.json", "--since", Self.snapshotID)
        #expect(outcome.status == 0, "\(outcome.error)")
        #expect(Array(outcome.lines.dropFirst()) == SmallDisks.changes + [SmallDisks.changesEnd])
        let header = try Program.object(outcome.lines.first ?? "")
        #expect(header["format"] as? String == "vhdset")
        #expect(header["since"] as? String == Self.snapshotID)
        // Up to a snapshot, too.
        let nothing = try run(
            "changes",
            "web.vhdset.json",
            "--since",
            SmallDisks.baseID,
            "--target",
            Self.snapshotID
        )
        #expect(nothing.status == 0 && nothing.lines.count == 2)
        let info = try run("info", "web.vhdset.json").lastObject()
        #expect(info["format"] as? String == "vhdset")
        let baselines = try #require(info["baselines"] as? [[String: Any]])
        let snapshot = try #require(baselines.first { $0["kind"] as? String == "snapshot" })
        #expect(snapshot["id"] as? String == Self.snapshotID)
        #expect(snapshot["usable"] as? Bool == true)
        #expect(snapshot["created"] as? String == "2023-11-23T19:58:45Z")
    }

    /// As a Hyper-V host prints it, with the files beside it.
    @Test func theCatalogueOfAHost() throws {
        let text = #"""
            [{"Path":"C:\\Sets\\web.vhds","SnapshotIdList":null,
              "AllPaths":["C:\\Sets\\web.vhds","C:\\Sets\\child.avhdx","C:\\Sets\\base.vhdx"]},
             {"FilePath":"C:\\Sets\\web.vhds","SnapshotId":"AAAAAAAA-1111-4111-8111-111111111111",
              "SnapshotPath":"C:\\Sets\\base.vhdx","ParentPathsList":[],"CreationTime":"\/Date(1700773125000)\/"},
             {"FilePath":"C:\\Sets\\web.vhds","SnapshotId":"BBBBBBBB-1111-4111-8111-111111111111",
              "SnapshotPath":"","ParentPathsList":null,"CreationTime":"\/Date(1700773125000)\/"}]
            """#
        try Data(text.utf8).write(to: URL(fileURLWithPath: disks.folder.file("host.vhdset.json")))
        let outcome = try run("changes", "host.vhdset.json", "--since", Self.snapshotID)
        #expect(Array(outcome.lines.dropFirst()) == SmallDisks.changes + [SmallDisks.changesEnd])
        // What is kept for reference only and cannot be proven is no baseline.
        let lost = try run("changes", "host.vhdset.json", "--since", "bbbbbbbb-1111-4111-8111-111111111111")
        #expect(lost.status == 5)
        #expect(try lost.lastObject()["reason"] as? String == "BASELINE_UNKNOWN")
        #expect(try run("image", "check", "host.vhdset.json").status == 0)
        // The set itself is in a layout that nobody has published.
        try Data(count: 4_096).write(to: URL(fileURLWithPath: disks.folder.file("web.vhds")))
        let real = try run("info", "web.vhds")
        #expect(real.status == 1)
        #expect(try real.lastObject()["return_value"] as? Int == 32770)
        #expect(real.error.contains("Docs/Formats/VHDSet.md"))
    }

    @Test func refusals() throws {
        try makeSet()
        for (arguments, status, reason) in [
            (["init", "web.vhdset.json"], 1, "ALREADY_EXISTS"),
            (["init", "b.vhdset.json", "--disk", "gone.vhdx"], 3, "FILE_NOT_FOUND"),
            (["add", "gone.vhdset.json", "--leaf", "child.avhdx"], 3, "FILE_NOT_FOUND"),
            (["add", "web.vhdset.json", "--snapshot-id", Self.snapshotID], 1, "ALREADY_EXISTS"),
            (["add", "web.vhdset.json", "--leaf", "gone.vhdx"], 3, "FILE_NOT_FOUND"),
            (["list", "gone.vhdset.json"], 3, "FILE_NOT_FOUND"),
            (
                ["add", "web.vhdset.json", "--snapshot-id", SmallDisks.diskID, "--layer", "child.avhdx"], 2,
                "INVALID_PARAMETER"
            ),
        ] {
            let outcome = try Program.run(["set"] + arguments, in: disks.folder)
            #expect(outcome.status == Int32(status), "\(arguments)")
            #expect(try outcome.lastObject()["reason"] as? String == reason, "\(arguments)")
        }
        #expect(!FileManager.default.fileExists(atPath: disks.folder.file("b.vhdset.json")))
        try Data("[".utf8).write(to: URL(fileURLWithPath: disks.folder.file("web.vhdset.json")))
        let outcome = try run("set", "list", "web.vhdset.json")
        #expect(outcome.status == 9)
        #expect(try outcome.lastObject()["reason"] as? String == "IMAGE_CORRUPT")
    }

    @Test func itIsAlwaysLocal() throws {
        try makeSet()
        let flag = try run("--server", "127.0.0.1:1", "set", "list", "web.vhdset.json")
        #expect(flag.status == 2 && flag.output == "")
        let made = try run("--server", "127.0.0.1:1", "set", "init", "new.vhdset.json")
        #expect(made.status == 2 && !FileManager.default.fileExists(atPath: disks.folder.file("new.vhdset.json")))
        let environment = ["DISKDELTA_SERVER": "127.0.0.1:1", "DISKDELTA_CA": "x"]
        #expect(try run("set", "list", "web.vhdset.json", environment: environment).status == 0)
    }

    @Test(
        "A bad flag or value",
        arguments: [
            ["init"], ["init", "a.json"], ["init", "a.vhdset.json", "--leaf", "child.avhdx"], ["list"],
            ["list", "a.vhdx"], ["add", "a.vhdset.json"], ["add", "a.vhdset.json", "--snapshot-id", "x"],
            ["add", "a.vhdset.json", "--snapshot-id", "{00000000-0000-0000-0000-000000000000}"],
            ["add", "a.vhdset.json", "--leaf", "child.avhdx", "--layer", "base.vhdx"],
            ["add", "a.vhdset.json", "--leaf", "child.avhdx", "--created", "2023-11-23T20:58:45Z"],
            ["add", "a.vhdset.json", "--snapshot-id", SmallDisks.diskID, "--created", "2023-11-23T20:58:45"],
            ["add", "a.vhdset.json", "--snapshot-id", SmallDisks.diskID, "--format", "xml"],
            ["remove", "a.vhdset.json"],
        ]
    )
    func usage(arguments: [String]) throws {
        let outcome = try Program.run(["set"] + arguments, in: disks.folder)
        #expect(outcome.status == 2, "\(arguments)")
        #expect(outcome.output == "", "\(arguments)")
        #expect(outcome.error.hasPrefix("diskdelta: "))
    }
}

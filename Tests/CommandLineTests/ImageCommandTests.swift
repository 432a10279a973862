import Foundation
import TestSupport
import Testing

/// Images made, written and checked by the program, and asked about by it.
@Suite("image", .enabled(if: Program.isBuilt, "\(Program.absence)"))
struct ImageCommandTests {
    private let disks: SmallDisks

    init() throws { disks = try SmallDisks() }

    private func image(_ arguments: String..., environment: [String: String] = [:]) throws -> Program.Outcome {
        try Program.run(["image"] + arguments, environment: environment, in: disks.folder)
    }

    /// Runs a command that must succeed, and has nothing to say.
    private func silently(_ arguments: String...) throws {
        let outcome = try Program.run(["image"] + arguments, in: disks.folder)
        #expect(outcome.status == 0, "\(arguments)")
        #expect(outcome.output == "" && outcome.error == "", "\(arguments): \(outcome.error)")
    }

    @Test func whatIsWrittenHasChanged() throws {
        try silently("create", "a.vhdx", "--size", "8M", "--block-size", "1M")
        try silently("write", "a.vhdx", "--offset", "0", "--fill", "255", "--length", "8M")
        try silently("create", "b.avhdx", "--parent", "a.vhdx", "--block-size", "1M")
        try silently("write", "b.avhdx", "--offset", "1M", "--fill", "0xAB", "--length", "4K")
        try Data(repeating: 7, count: 512).write(to: URL(fileURLWithPath: disks.folder.file("sector")))
        try silently("write", "b.avhdx", "--offset", "3M", "--from", "sector")
        try silently("zero", "b.avhdx", "--offset", "5M", "--length", "1M")

        let info = try Program.run("info", "b.avhdx", in: disks.folder).lastObject()
        #expect(info["disk_type"] as? String == "differencing")
        #expect(info["size"] as? Int == 8 << 20)
        let baselines = info["baselines"] as? [[String: Any]]
        let since = try #require(baselines?.first?["id"] as? String)
        let changes = try Program.run("changes", "b.avhdx", "--since", since, in: disks.folder)
        #expect(
            changes.lines.dropFirst().dropLast() == [
                #"{"type":"range","offset":1048576,"length":4096,"kind":"data"}"#,
                #"{"type":"range","offset":3145728,"length":512,"kind":"data"}"#,
                #"{"type":"range","offset":5242880,"length":1048576,"kind":"zero"}"#,
            ]
        )
        #expect(changes.status == 0)
    }

    @Test(arguments: ["avhd", "bin"]) func aVHDThatIsWrittenHasChanged(childExtension: String) throws {
        let child = "b.\(childExtension)"
        try silently("create", "a.vhd", "--size", "8M")
        try silently("write", "a.vhd", "--offset", "0", "--fill", "255", "--length", "8M")
        if childExtension == "bin" {
            try silently("create", child, "--parent", "a.vhd", "--image-format", "vhd")
        } else {
            try silently("create", child, "--parent", "a.vhd", "--block-size", "512K")
        }
        try silently("write", child, "--offset", "1M", "--fill", "0xAB", "--length", "4K")
        try silently("zero", child, "--offset", "5M", "--length", "1K")
        let info = try Program.run("info", child, in: disks.folder).lastObject()
        #expect(info["format"] as? String == "vhd" && info["disk_type"] as? String == "differencing")
        let baselines = info["baselines"] as? [[String: Any]]
        let since = try #require(baselines?.first?["id"] as? String)
        let changes = try Program.run("changes", child, "--since", since, in: disks.folder)
        // The format has no state for zeroes: they are data.
        #expect(
            changes.lines.dropFirst().dropLast() == [
                #"{"type":"range","offset":1048576,"length":4096,"kind":"data"}"#,
                #"{"type":"range","offset":5242880,"length":1024,"kind":"data"}"#,
            ]
        )
        #expect(changes.status == 0)
        #expect(try image("check", child).status == 0)
    }

    @Test func aRawDiskIsItsAllocation() throws {
        let file = try RawFile(disks.folder.file("disk.raw"), create: true)
        try file.truncate(to: 1 << 20)
        try file.write([UInt8](repeating: 7, count: 65_536), at: 131_072)
        let info = try Program.run("info", "disk.raw", in: disks.folder).lastObject()
        #expect(info["format"] as? String == "raw" && info["disk_type"] as? String == "fixed")
        #expect(info["size"] as? Int == 1 << 20)
        #expect(info["identifier"] as? String == "" && (info["baselines"] as? [Any])?.isEmpty == true)
        let allocated = try Program.run("allocated", "disk.raw", in: disks.folder)
        #expect(allocated.status == 0)
        #expect(
            allocated.lines.dropFirst().dropLast()
                == [#"{"type":"range","offset":131072,"length":65536,"kind":"data"}"#]
        )
        let changes = try Program.run("changes", "disk.raw", "--since", SmallDisks.baseID, in: disks.folder)
        #expect(changes.status == 5)
        #expect(try image("write", "disk.raw", "--offset", "0", "--fill", "1", "--length", "512").status == 1)
    }

    @Test("A good image", arguments: ["ndjson", "json"])
    func check(format: String) throws {
        let outcome = try image("check", "child.avhdx", "--format", format)
        #expect(
            outcome.lines == [
                #"{"type":"image-check","schema":1,"path":"child.avhdx","ok":true,"problems":[]}"#
            ]
        )
        #expect(outcome.status == 0)
    }

    @Test func checkOfADamagedImage() throws {
        try disks.writeDamagedDisk()
        let outcome = try image("check", "damaged.vhdx")
        #expect(outcome.status == 9)
        let prefix =
            #"{"type":"image-check","schema":1,"path":"damaged.vhdx","ok":false,"problems":["#
            + #"{"reason":"IMAGE_CORRUPT","path":"damaged.vhdx","offset":"#
        #expect(outcome.lines.count == 1)
        #expect(outcome.output.hasPrefix(prefix), "\(outcome.output)")
        let problems = try outcome.lastObject()["problems"] as? [[String: Any]]
        #expect(problems?.allSatisfy { Set($0.keys) == ["reason", "path", "offset", "message"] } == true)
    }

    @Test func aRepairReplaysTheLog() throws {
        let path = disks.folder.file("dirty.vhdx")
        _ = try RandomDirtyImage(seed: 5, path: path, after: disks.folder.file("after.vhdx"), isForQEMU: true)
        let url = URL(fileURLWithPath: path)
        let before = try Data(contentsOf: url)
        let allocated = try Program.run("allocated", "dirty.vhdx", in: disks.folder)
        let dirty = try image("check", "dirty.vhdx")
        #expect(dirty.status == 0)
        #expect(dirty.error.contains("dirty.vhdx: not closed properly"))
        #expect(try Data(contentsOf: url) == before)
        let repaired = try image("check", "dirty.vhdx", "--repair")
        #expect(repaired.status == 0, "\(repaired.error)")
        #expect(repaired.error.contains("dirty.vhdx: repaired"))
        #expect(!repaired.error.contains("not closed properly"))
        #expect(try Data(contentsOf: url) != before)
        // The answers are what they were.
        let after = try Program.run("allocated", "dirty.vhdx", in: disks.folder)
        #expect(after.lines.dropFirst() == allocated.lines.dropFirst() && after.status == 0)
        // There is nothing to do a second time.
        let again = try image("check", "dirty.vhdx", "--repair", "--format", "table")
        #expect(again.status == 0 && again.output.contains("no problems") && !again.output.contains("repaired"))
        // What is damaged is told, and not touched.
        try disks.writeDamagedDisk()
        #expect(try image("check", "damaged.vhdx", "--repair").status == 9)
    }

    @Test func aMergedCheckpointIsInItsParent() throws {
        try silently("create", "a.vhdx", "--size", "8M", "--block-size", "1M")
        try silently("create", "b.avhdx", "--parent", "a.vhdx", "--block-size", "1M")
        try silently("write", "b.avhdx", "--offset", "1M", "--fill", "7", "--length", "4K")
        let before = try Program.run("info", "a.vhdx", in: disks.folder).lastObject()
        // Without the word nothing happens, for a sibling would be lost.
        let refused = try image("merge", "b.avhdx")
        #expect(refused.status == 2 && refused.output == "")
        #expect(refused.error.contains("--only-child"))
        try silently("merge", "b.avhdx", "--only-child")
        let after = try Program.run("info", "a.vhdx", in: disks.folder).lastObject()
        #expect(before["identifier"] as? String != after["identifier"] as? String)
        let allocated = try Program.run("allocated", "a.vhdx", in: disks.folder)
        #expect(allocated.lines.contains { $0.hasPrefix(#"{"type":"range","offset":1048576"#) })
        #expect(allocated.status == 0)
        #expect(try image("check", "b.avhdx").status == 0)
        let base = try image("merge", "a.vhdx", "--only-child")
        #expect(base.status == 2)
        #expect(try base.lastObject()["reason"] as? String == "INVALID_PARAMETER")
    }

    @Test func itIsAlwaysLocal() throws {
        for command in [
            ["check", "child.avhdx"], ["create", "new.vhdx", "--size", "8M"], ["merge", "child.avhdx", "--only-child"],
        ] {
            let flag = try Program.run(["--server", "127.0.0.1:1", "image"] + command, in: disks.folder)
            #expect(flag.status == 2)
            #expect(flag.output == "")
        }
        #expect(!FileManager.default.fileExists(atPath: disks.folder.file("new.vhdx")))
        let environment = ["DISKDELTA_SERVER": "127.0.0.1:1", "DISKDELTA_CA": "x"]
        #expect(try image("check", "child.avhdx", environment: environment).status == 0)
    }

    @Test func aFileThatIsThereIsNotOverwritten() throws {
        let before = try Data(contentsOf: URL(fileURLWithPath: disks.folder.file("base.vhdx")))
        let outcome = try image("create", "base.vhdx", "--size", "8M")
        #expect(outcome.status == 1)
        #expect(try outcome.lastObject()["reason"] as? String == "ALREADY_EXISTS")
        #expect(try Data(contentsOf: URL(fileURLWithPath: disks.folder.file("base.vhdx"))) == before)
    }

    @Test(
        "A bad flag or value",
        arguments: [
            ["create", "x.vhdx"], ["create", "x.vhdx", "--size", "1k"], ["create", "x.dat", "--size", "8M"],
            ["create", "x.vhdx", "--size", "8M", "--parent", "base.vhdx"],
            ["create", "x.vhdx", "--size", "8M", "--logical-sector-size", "1024"],
            ["create", "x.vhdx", "--size", "8M", "--image-format", "vdi"],
            ["create", "x.vhd", "--size", "8M", "--logical-sector-size", "4096"],
            ["write", "base.vhdx", "--offset", "0"], ["write", "base.vhdx", "--fill", "1", "--length", "512"],
            ["write", "base.vhdx", "--offset", "0", "--fill", "256", "--length", "512"],
            ["write", "base.vhdx", "--offset", "0", "--fill", "1"],
            ["write", "base.vhdx", "--offset", "0", "--fill", "1", "--length", "512", "--from", "base.vhdx"],
            ["zero", "base.vhdx", "--offset", "0"], ["check"], ["repair", "base.vhdx"],
        ]
    )
    func usage(arguments: [String]) throws {
        let outcome = try Program.run(["image"] + arguments, in: disks.folder)
        #expect(outcome.status == 2, "\(arguments)")
        #expect(outcome.output == "", "\(arguments)")
        #expect(outcome.error.hasPrefix("diskdelta: "))
    }
}

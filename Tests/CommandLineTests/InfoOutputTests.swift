import Foundation
import TestSupport
import Testing

@Suite("info", .enabled(if: Program.isBuilt, "\(Program.absence)"))
struct InfoOutputTests {
    private let disks: SmallDisks

    init() throws { disks = try SmallDisks() }

    private func layer(_ path: String, _ id: String) -> String {
        #"{"path":"\#(path)","format":"vhdx","identifier":"\#(id)"}"#
    }

    private func baseline(_ id: String, _ path: String, usable: Bool = true, reason: String = "") -> String {
        #"{"id":"\#(id)","kind":"layer","path":"\#(path)","created":"","granularity":512,"usable":\#(usable),"#
            + #""reason":"\#(reason)"}"#
    }

    private func info(
        _ disk: String,
        type: String,
        id: String,
        parent: String,
        chain: [String],
        baselines: [String]
    ) throws -> String {
        #"{"type":"info","schema":1,"disk":"\#(disk)","format":"vhdx","disk_type":"\#(type)","size":8388608,"#
            + #""block_size":1048576,"logical_sector_size":512,"physical_sector_size":4096,"#
            + #""virtual_disk_id":"\#(SmallDisks.diskID)","identifier":"\#(id)","parent_path":"\#(parent)","#
            + #""epoch":"\#(try disks.epoch(disk))","chain":[\#(chain.joined(separator: ","))],"#
            + #""baselines":[\#(baselines.joined(separator: ","))],"#
            + #""tracking":{"enabled":false,"most_recent_id":"","newer_changes":false}}"#
    }

    /// How a parent is named is the path by which it was opened.
    private var basePath: String { "base.vhdx" }

    @Test("One object on one line", arguments: ["ndjson", "json"])
    func anObject(format: String) throws {
        let child = try Program.run("info", "child.avhdx", "--format", format, in: disks.folder)
        #expect(
            child.lines == [
                try info(
                    "child.avhdx",
                    type: "differencing",
                    id: SmallDisks.childID,
                    parent: basePath,
                    chain: [layer("child.avhdx", SmallDisks.childID), layer(basePath, SmallDisks.baseID)],
                    baselines: [baseline(SmallDisks.baseID, basePath)]
                )
            ]
        )
        #expect(child.status == 0)
        #expect(child.error == "")
        let base = try Program.run("info", "base.vhdx", in: disks.folder)
        #expect(
            base.lines == [
                try info(
                    "base.vhdx",
                    type: "dynamic",
                    id: SmallDisks.baseID,
                    parent: "",
                    chain: [layer("base.vhdx", SmallDisks.baseID)],
                    baselines: []
                )
            ]
        )
    }

    @Test func aTable() throws {
        let outcome = try Program.run("info", "child.avhdx", "--format", "table", in: disks.folder)
        #expect(outcome.status == 0)
        for word in ["child.avhdx", "vhdx, differencing", "8 MiB", SmallDisks.baseID, SmallDisks.childID] {
            #expect(outcome.output.contains(word), "\(word)")
        }
    }

    @Test func baselinesAreTheNearestFirst() throws {
        var leaf = SmallDisks.disk("66666666-6666-4666-8666-666666666666")
        leaf.setParent(SmallDisks.disk("33333333-3333-4333-8333-333333333333").dataWriteGUID, path: "child.avhdx")
        try leaf.write(to: disks.folder.file("leaf.avhdx"))
        let object = try Program.run("info", "leaf.avhdx", in: disks.folder).lastObject()
        let ids = (object["baselines"] as? [[String: Any]])?.compactMap { $0["id"] as? String }
        #expect(ids == [SmallDisks.childID, SmallDisks.baseID])
    }

    @Test func anAmbiguousBaselineIsNotUsable() throws {
        var leaf = SmallDisks.disk("22222222-2222-4222-8222-222222222222")
        leaf.setParent(SmallDisks.disk("33333333-3333-4333-8333-333333333333").dataWriteGUID, path: "child.avhdx")
        try leaf.write(to: disks.folder.file("leaf.avhdx"))
        let outcome = try Program.run("info", "leaf.avhdx", in: disks.folder)
        let expected = [
            baseline(SmallDisks.childID, "child.avhdx"),
            baseline(SmallDisks.baseID, basePath, usable: false, reason: "BASELINE_AMBIGUOUS"),
        ]
        #expect(outcome.output.contains(#""baselines":[\#(expected.joined(separator: ","))]"#), "\(outcome.output)")
    }

    @Test("A failure is the error line alone", arguments: ["ndjson", "json"])
    func aFailure(format: String) throws {
        let outcome = try Program.run("info", "nothing.vhdx", "--format", format, in: disks.folder)
        #expect(
            outcome.lines == [
                #"{"type":"error","status":"NOT_FOUND","return_value":32779,"reason":"FILE_NOT_FOUND","detail_code":"","#
                    + #""message":"nothing.vhdx: There is no such file.","resume_offset":0}"#
            ]
        )
        #expect(outcome.status == 3)
        #expect(outcome.error == "diskdelta: nothing.vhdx: There is no such file.\n")
        let table = try Program.run("info", "nothing.vhdx", "--format", "table", in: disks.folder)
        #expect(table.output == "" && table.error == outcome.error && table.status == 3)
    }
}

import Foundation
import TestSupport
import Testing

/// Many local disks in one question: to each the answer that it has alone.
@Suite("Many disks", .enabled(if: Program.isBuilt, "\(Program.absence)"))
struct ManyDisksTests {
    private let disks: SmallDisks

    init() throws { disks = try SmallDisks() }

    private func list(_ questions: [(disk: String, since: String)]) throws -> String {
        let lines = questions.map { #"{"disk":"\#($0.disk)","since":"\#($0.since)"}"# }
        try Data(lines.joined(separator: "\n").utf8).write(to: URL(fileURLWithPath: disks.folder.file("list")))
        return "list"
    }

    private func single(_ disk: String, _ since: String, _ more: [String] = []) throws -> Program.Outcome {
        try Program.run(["changes", disk, "--since", since] + more, in: disks.folder)
    }

    /// The lines of one disk among those of many, as they would be alone.
    private func lines(_ outcome: Program.Outcome, of disk: String) -> [String] {
        outcome.lines.filter { $0.contains(#""disk":"\#(disk)""#) }.map { line in
            let isHeader = line.hasPrefix(#"{"type":"header""#)
            return isHeader ? line : line.replacingOccurrences(of: #","disk":"\#(disk)""#, with: "")
        }
    }

    @Test func eachDiskHasItsAnswer() throws {
        let questions = [
            ("child.avhdx", SmallDisks.baseID), ("base.vhdx", SmallDisks.baseID), ("nothing.vhdx", "x"),
            ("./child.avhdx", "no id"),
        ]
        for more in [[], ["--offset", "1M", "--length", "3M"], ["--granularity", "64K"]] {
            let outcome = try Program.run(["changes", "--batch", try list(questions)] + more, in: disks.folder)
            #expect(outcome.status == 1)
            for (disk, since) in questions {
                #expect(try lines(outcome, of: disk) == single(disk, since, more).lines, "\(disk) \(more)")
            }
            let singles = try questions.map { try single($0.0, $0.1, more).lines.count }
            #expect(outcome.lines.count == singles.reduce(0, +))
            #expect(outcome.error.hasPrefix("diskdelta: 2 of 4 disks have no complete answer, the first because of "))
            #expect(outcome.error.filter { $0 == "\n" }.count == 1)
        }
    }

    @Test func theSameDiskSinceDifferentBaselines() throws {
        let questions = [("child.avhdx", SmallDisks.baseID), ("child.avhdx", SmallDisks.childID)]
        let outcome = try Program.run("changes", "--batch", try list(questions), in: disks.folder)
        #expect(outcome.status == 0 && outcome.error == "")
        let expected = try questions.flatMap { try single($0.0, $0.1).lines }
        #expect(lines(outcome, of: "child.avhdx") == expected)
    }

    @Test func oneDocument() throws {
        let questions = [("child.avhdx", SmallDisks.baseID), ("nothing.vhdx", "x"), ("base.vhdx", SmallDisks.baseID)]
        let outcome = try Program.run("changes", "--batch", try list(questions), "--format", "json", in: disks.folder)
        #expect(outcome.status == 3)
        let parts = try questions.map { disk, since in
            let document = try single(disk, since, ["--format", "json"]).lines[0]
            return #"{"disk":"\#(disk)","# + document.dropFirst()
        }
        #expect(outcome.output == #"{"answers":[\#(parts.joined(separator: ","))]}"# + "\n")
    }

    @Test func tables() throws {
        let questions = [("child.avhdx", SmallDisks.baseID), ("nothing.vhdx", "x")]
        let outcome = try Program.run("changes", "--batch", try list(questions), "--format", "table", in: disks.folder)
        #expect(outcome.status == 3)
        let first = try single("child.avhdx", SmallDisks.baseID, ["--format", "table"]).output
        #expect(
            outcome.output
                == first + "\ndisk         nothing.vhdx\n"
                + "FAILED: FILE_NOT_FOUND: nothing.vhdx: There is no such file.\n"
        )
    }

    @Test("An answer that breaks off in the midst", arguments: ["ndjson", "json", "table"])
    func damage(format: String) throws {
        try disks.writeDamagedDisk()
        let id = "{44444444-4444-4444-8444-444444444444}"
        var child = SmallDisks.disk("66666666-6666-4666-8666-666666666666")
        child.blocks[1] = VHDXBuilder.Block(state: 6)
        child.blocks[5] = VHDXBuilder.Block(state: 6, offset: 1 << 40)
        child.setParent(SmallDisks.disk("22222222-2222-4222-8222-222222222222").dataWriteGUID, path: "base.vhdx")
        try child.write(to: disks.folder.file("broken.avhdx"))
        let questions = [("broken.avhdx", SmallDisks.baseID), ("child.avhdx", SmallDisks.baseID), ("damaged.vhdx", id)]
        let outcome = try Program.run("changes", "--batch", try list(questions), "--format", format, in: disks.folder)
        #expect(outcome.status == 9, "\(outcome.error)")
        #expect(outcome.error.contains("1 of 3 disks"))
        switch format {
        case "ndjson":
            let broken = lines(outcome, of: "broken.avhdx")
            #expect(broken == (try single("broken.avhdx", SmallDisks.baseID)).lines)
            #expect(broken.last?.contains("IMAGE_CORRUPT") == true)
            #expect(lines(outcome, of: "child.avhdx").last == SmallDisks.changesEnd)
        case "json":
            #expect(outcome.lines.count == 1)
            let answers = try #require(try outcome.lastObject()["answers"] as? [[String: Any]])
            #expect(answers.map { $0["end"] != nil } == [false, true, true])
            #expect((answers[0]["error"] as? [String: Any])?["reason"] as? String == "IMAGE_CORRUPT")
        default:
            #expect(outcome.output.contains("INCOMPLETE: the answer broke off here\nFAILED: IMAGE_CORRUPT: "))
        }
    }

    @Test("Where the time is up, every disk says so", arguments: ["ndjson", "json"])
    func theDeadline(format: String) throws {
        try disks.writeLargeAnswer()
        let questions = Array(repeating: ("large.avhdx", SmallDisks.largeBaseID), count: 3)
        let outcome = try Program.run(
            "--deadline",
            "1ms",
            "changes",
            "--batch",
            try list(questions),
            "--format",
            format,
            in: disks.folder
        )
        #expect(outcome.status == 8, "\(outcome.error)")
        #expect(outcome.error.hasPrefix("diskdelta: 3 of 3 disks have no complete answer"))
        if format == "json" {
            let answers = try #require(try outcome.lastObject()["answers"] as? [[String: Any]])
            let reasons = answers.map { ($0["error"] as? [String: Any])?["reason"] as? String }
            #expect(reasons == Array(repeating: "DEADLINE", count: 3))
        } else {
            #expect(outcome.lines.filter { $0.contains(#""reason":"DEADLINE""#) }.count == 3)
        }
    }
}

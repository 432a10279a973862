import Foundation
import TestSupport
import Testing

/// `--on-unavailable`: what is answered where the changes cannot be told, and how that is said.
@Suite("A ladder instead of a shrug", .enabled(if: Program.isBuilt, "\(Program.absence)"))
struct FallbackTests {
    private let disks: SmallDisks

    /// Baselines that cannot be used, with the reason.
    private static let unusable = [
        ("{99999999-2222-4222-8222-222222222222}", "BASELINE_UNKNOWN"), ("yesterday", "BASELINE_MALFORMED"),
    ]

    init() throws { disks = try SmallDisks() }

    private func changes(_ since: String, _ more: String...) throws -> Program.Outcome {
        try Program.run(["changes", "child.avhdx", "--since", since] + more, in: disks.folder)
    }

    private func ranges(_ outcome: Program.Outcome) -> [String] { Array(outcome.lines.dropFirst().dropLast()) }

    @Test func failingIsWhatHappensByDefault() throws {
        for (id, reason) in Self.unusable {
            for outcome in [try changes(id), try changes(id, "--on-unavailable", "fail")] {
                #expect(outcome.status == 5)
                #expect(try outcome.lastObject()["reason"] as? String == reason)
            }
        }
    }

    @Test("A baseline that can be used is used", arguments: ["fail", "allocated", "whole"])
    func noNeed(word: String) throws {
        let outcome = try changes(SmallDisks.baseID, "--on-unavailable", word)
        #expect(outcome.status == 0 && outcome.error == "")
        #expect(outcome.lines == (try changes(SmallDisks.baseID)).lines)
    }

    @Test func whatIsAllocated() throws {
        for (id, reason) in Self.unusable {
            let outcome = try changes(id, "--on-unavailable", "allocated")
            #expect(outcome.status == 0, "\(outcome.output)")
            #expect(ranges(outcome) == SmallDisks.allocated)
            let header = try Program.object(outcome.lines.first ?? "")
            #expect(header["basis"] as? String == "allocated" && header["basis_reason"] as? String == reason)
            #expect((header["basis_message"] as? String)?.isEmpty == false)
            #expect(outcome.error.hasPrefix("diskdelta: warning: child.avhdx: "), "\(outcome.error)")
            #expect(outcome.error.contains(reason) && outcome.error.filter { $0 == "\n" }.count == 1)
        }
    }

    @Test func theWholeWindow() throws {
        for (id, reason) in Self.unusable {
            let outcome = try changes(id, "--on-unavailable", "whole", "--offset", "1M", "--length", "2M")
            #expect(outcome.status == 0, "\(outcome.output)")
            #expect(ranges(outcome) == [#"{"type":"range","offset":1048576,"length":2097152,"kind":"data"}"#])
            let header = try Program.object(outcome.lines.first ?? "")
            #expect(header["basis"] as? String == "whole" && header["basis_reason"] as? String == reason)
            #expect(outcome.error.filter { $0 == "\n" }.count == 1)
        }
    }

    @Test("Any other failure stays one", arguments: ["allocated", "whole"])
    func otherFailures(word: String) throws {
        for (arguments, code) in [
            (["nothing.vhdx", "--since", "x"], 3), (["child.avhdx", "--since", "x", "--offset", "9M"], 2),
            (["child.avhdx", "--since", "x", "--if-epoch", "0"], 5),
        ] as [([String], Int32)] {
            let outcome = try Program.run(["changes"] + arguments + ["--on-unavailable", word], in: disks.folder)
            #expect(outcome.status == code && outcome.lines.count == 1, "\(arguments): \(outcome.output)")
        }
    }

    @Test func sumsAndManyDisks() throws {
        let (id, reason) = Self.unusable[0]
        let sum = try Program.run(
            "summary",
            "child.avhdx",
            "--since",
            id,
            "--on-unavailable",
            "allocated",
            in: disks.folder
        )
        #expect(sum.status == 0)
        let object = try sum.lastObject()
        #expect(object["basis"] as? String == "allocated" && object["basis_reason"] as? String == reason)
        #expect(object["bytes"] as? Int == 2_099_712)
        #expect(sum.error.hasPrefix("diskdelta: warning: "))

        let list =
            #"{"disk":"child.avhdx","since":"\#(id)"}"# + "\n"
            + #"{"disk":"base.vhdx","since":"\#(SmallDisks.baseID)"}"#
        try Data(list.utf8).write(to: URL(fileURLWithPath: disks.folder.file("list")))
        for format in ["ndjson", "json", "table"] {
            let many = try Program.run(
                "changes",
                "--batch",
                "list",
                "--on-unavailable",
                "whole",
                "--format",
                format,
                in: disks.folder
            )
            #expect(many.status == 0, "\(many.output)")
            #expect(many.error.hasPrefix("diskdelta: warning: child.avhdx: "))
            #expect(many.error.filter { $0 == "\n" }.count == 1)
        }
    }

    /// What is allocated can always be told, so the flag changes nothing there.
    @Test func theFlagAtAllocated() throws {
        let plain = try Program.run("allocated", "child.avhdx", in: disks.folder)
        for word in ["fail", "allocated", "whole"] {
            let outcome = try Program.run("allocated", "child.avhdx", "--on-unavailable", word, in: disks.folder)
            #expect(outcome.output == plain.output && outcome.status == 0 && outcome.error == "")
        }
    }
}

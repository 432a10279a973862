import Foundation
import TestSupport
import Testing

/// The line of `summary`: the sums of what `changes` and `allocated` would print.
@Suite("Sums on standard output", .enabled(if: Program.isBuilt, "\(Program.absence)"))
struct SummaryOutputTests {
    private let disks: SmallDisks

    init() throws { disks = try SmallDisks() }

    private func run(_ arguments: [String]) throws -> Program.Outcome { try Program.run(arguments, in: disks.folder) }

    @Test func theLine() throws {
        let epoch = try disks.epoch()
        for (arguments, since, basis, sums) in [
            (
                ["--since", SmallDisks.baseID], SmallDisks.baseID, "changes",
                #""ranges":4,"bytes":2099712,"data_bytes":1051136,"zero_bytes":1048576,"largest":1048576"#
            ),
            (
                [], "", "allocated",
                #""ranges":3,"bytes":2099712,"data_bytes":2099712,"zero_bytes":0,"largest":1050624"#
            ),
        ] as [([String], String, String, String)] {
            for format in ["ndjson", "json"] {
                let outcome = try run(["summary", "child.avhdx", "--format", format] + arguments)
                #expect(outcome.status == 0 && outcome.error == "")
                #expect(
                    outcome.output
                        == #"{"type":"summary","schema":1,"disk":"child.avhdx","size":8388608,"since":"\#(since)","#
                        + #""target":"","epoch":"\#(epoch)","basis":"\#(basis)","complete":true,\#(sums),"#
                        + #""granularity":512}"# + "\n"
                )
            }
        }
    }

    @Test("The sums are those of the ranges, in every window and granularity")
    func sums() throws {
        for question in [["--since", SmallDisks.baseID], ["--since", SmallDisks.childID], []] {
            for window in [
                [], ["--offset", "1M"], ["--length", "0"], ["--offset", "8M"], ["--offset", "1M", "--length", "1K"],
                ["--granularity", "64K"], ["--granularity", "4M", "--offset", "3M", "--length", "2M"],
            ] {
                let command = question.isEmpty ? "allocated" : "changes"
                let answer = try run([command, "child.avhdx"] + question + window)
                let end = try answer.lastObject()
                let lengths = try answer.lines.dropFirst().dropLast().compactMap {
                    try Program.object($0)["length"] as? Int
                }
                let outcome = try run(["summary", "child.avhdx"] + question + window)
                #expect(outcome.status == 0, "\(question) \(window): \(outcome.error)")
                let sum = try outcome.lastObject()
                for field in ["ranges", "bytes", "data_bytes", "zero_bytes"] {
                    #expect(sum[field] as? Int == end[field] as? Int, "\(field) \(question) \(window)")
                }
                #expect(sum["largest"] as? Int == lengths.max() ?? 0, "\(question) \(window)")
                let header = try Program.object(answer.lines.first ?? "")
                for field in ["since", "target", "epoch", "basis"] {
                    #expect(sum[field] as? String == header[field] as? String, "\(field)")
                }
                #expect(sum["granularity"] as? Int == header["granularity"] as? Int)
            }
        }
    }

    @Test("It fails as the question for the ranges does")
    func failures() throws {
        let unknown = "{99999999-2222-4222-8222-222222222222}"
        for (arguments, code, reason) in [
            (["nothing.vhdx"], 3, "FILE_NOT_FOUND"), (["child.avhdx", "--since", unknown], 5, "BASELINE_UNKNOWN"),
            (["child.avhdx", "--since", ""], 5, "BASELINE_MALFORMED"),
            (["child.avhdx", "--offset", "9M"], 2, "OFFSET_OUT_OF_RANGE"),
            (["child.avhdx", "--granularity", "0"], 2, "INVALID_PARAMETER"),
            (["child.avhdx", "--if-epoch", "0"], 5, "EPOCH_CHANGED"),
        ] as [([String], Int32, String)] {
            let outcome = try run(["summary"] + arguments)
            #expect(outcome.status == code && outcome.lines.count == 1, "\(arguments): \(outcome.output)")
            #expect(try outcome.lastObject()["reason"] as? String == reason)
            #expect(outcome.error.filter { $0 == "\n" }.count == 1)
        }
        try disks.writeDamagedDisk()
        let damaged = try run(["summary", "damaged.vhdx"])
        #expect(damaged.status == 9 && damaged.lines.count == 1)
        #expect(try damaged.lastObject()["reason"] as? String == "IMAGE_CORRUPT")
    }
}

import Foundation
import TestSupport
import Testing

/// The lines of `changes` and `allocated`, character by character.
@Suite("Ranges on standard output", .enabled(if: Program.isBuilt, "\(Program.absence)"))
struct RangeOutputTests {
    private let disks: SmallDisks
    private let epoch: String

    init() throws {
        disks = try SmallDisks()
        epoch = try disks.epoch()
    }

    private func run(_ arguments: String...) throws -> Program.Outcome {
        try Program.run(arguments, in: disks.folder)
    }

    private func changes(_ arguments: String...) throws -> Program.Outcome {
        try Program.run(["changes", "child.avhdx", "--since", SmallDisks.baseID] + arguments, in: disks.folder)
    }

    private func header(
        since: String = SmallDisks.baseID,
        target: String = "",
        granularity: Int = 512,
        basis: String = "changes"
    ) -> String {
        #"{"type":"header","schema":1,"disk":"child.avhdx","format":"vhdx","size":8388608,"since":"\#(since)","#
            + #""target":"\#(target)","epoch":"\#(epoch)","granularity":\#(granularity),"basis":"\#(basis)"}"#
    }

    private func range(_ offset: Int, _ length: Int, _ kind: String = "data") -> String {
        #"{"type":"range","offset":\#(offset),"length":\#(length),"kind":"\#(kind)"}"#
    }

    private func end(_ processed: Int, _ next: Int, ranges: Int, data: Int, zero: Int = 0) -> String {
        #"{"type":"end","complete":true,"return_value":0,"processed":\#(processed),"next_offset":\#(next),"#
            + #""ranges":\#(ranges),"bytes":\#(data + zero),"data_bytes":\#(data),"zero_bytes":\#(zero)}"#
    }

    // MARK: The three forms

    @Test func lines() throws {
        for outcome in [try changes(), try changes("--format", "ndjson")] {
            #expect(outcome.lines == [header()] + SmallDisks.changes + [SmallDisks.changesEnd])
            #expect(outcome.output.hasSuffix("\n"))
            #expect(outcome.error == "")
            #expect(outcome.status == 0)
        }
    }

    @Test func oneDocument() throws {
        let outcome = try changes("--format", "json")
        let ranges = SmallDisks.changes.joined(separator: ",")
        #expect(
            outcome.output == #"{"header":\#(header()),"ranges":[\#(ranges)],"end":\#(SmallDisks.changesEnd)}"# + "\n"
        )
        #expect(outcome.status == 0)
        #expect(try outcome.lastObject().count == 3)
    }

    @Test func aTable() throws {
        let outcome = try changes("--format", "table")
        #expect(outcome.status == 0)
        #expect(outcome.error == "")
        let rows = outcome.lines.map { $0.split(separator: " ").joined(separator: " ") }
        for row in [
            "disk child.avhdx", "size 8 MiB", "since \(SmallDisks.baseID)", "granularity 512 B", "offset length kind",
            "1048576 2048 data", "1099776 512 data", "3145728 1048576 zero", "7340032 1048576 data",
            "complete: 4 ranges, 2.0 MiB (1.0 MiB data, 1 MiB zero) of 8 MiB asked about",
        ] {
            #expect(rows.contains(row), "\(row)")
        }
    }

    @Test func theFormatMayComeBeforeTheOtherArguments() throws {
        let outcome = try run("changes", "--format", "json", "--since", SmallDisks.baseID, "child.avhdx")
        #expect(outcome.status == 0)
        #expect(outcome.lines.count == 1)
    }

    @Test func allocation() throws {
        let outcome = try run("allocated", "child.avhdx")
        #expect(
            outcome.lines == [header(since: "", basis: "allocated")] + SmallDisks.allocated + [
                end(8_388_608, 8_388_608, ranges: 3, data: 1_050_624 + 512 + 1_048_576)
            ]
        )
        #expect(outcome.status == 0)
        let document = try run("allocated", "child.avhdx", "--format", "json")
        #expect(try document.lastObject()["ranges"] as? [[String: AnyHashable]] != nil)
        #expect(document.lines.count == 1)
    }

    // MARK: Ids

    @Test func idsAreToldInTheirCanonicalForm() throws {
        let outcome = try run(
            "changes",
            "child.avhdx",
            "--since",
            "22222222-2222-4222-8222-222222222222",
            "--target",
            "33333333-3333-4333-8333-333333333333"
        )
        #expect(outcome.lines.first == header(target: SmallDisks.childID))
        #expect(outcome.lines.last == SmallDisks.changesEnd)
        #expect(try changes("--target", "").lines.first == header())
    }

    @Test func sinceEqualToTargetIsCompleteAndEmpty() throws {
        for id in [SmallDisks.baseID, SmallDisks.childID] {
            let outcome = try run("changes", "child.avhdx", "--since", id, "--target", id)
            #expect(outcome.status == 0)
            #expect(outcome.lines.count == 2)
            #expect(outcome.lines.last == end(8_388_608, 8_388_608, ranges: 0, data: 0))
        }
        let now = try run("changes", "child.avhdx", "--since", SmallDisks.childID)
        #expect(now.lines.last == end(8_388_608, 8_388_608, ranges: 0, data: 0))
    }

    @Test func theEpochThatWasToldIsAccepted() throws {
        #expect(try changes("--if-epoch", epoch).lines.last == SmallDisks.changesEnd)
        #expect(try run("allocated", "child.avhdx", "--if-epoch", epoch).status == 0)
    }

    // MARK: Windows

    @Test func aWindow() throws {
        let outcome = try changes("--offset", "1M", "--length", "1K")
        #expect(outcome.lines == [header(), range(1_048_576, 1024), end(1024, 1_049_600, ranges: 1, data: 1024)])
    }

    @Test("Sizes in bytes and in K, M, G and T")
    func sizes() throws {
        for (offset, length, expected) in [
            ("3145728", "512", end(512, 3_146_240, ranges: 1, data: 0, zero: 512)),
            ("3072K", "1K", end(1024, 3_146_752, ranges: 1, data: 0, zero: 1024)),
            ("3M", "1M", end(1_048_576, 4_194_304, ranges: 1, data: 0, zero: 1_048_576)),
            ("7M", "1G", end(1_048_576, 8_388_608, ranges: 1, data: 1_048_576)),
            ("7M", "1T", end(1_048_576, 8_388_608, ranges: 1, data: 1_048_576)),
            ("7M", "16777215T", end(1_048_576, 8_388_608, ranges: 1, data: 1_048_576)),
            ("7M", "18446744073709551615", end(1_048_576, 8_388_608, ranges: 1, data: 1_048_576)),
            ("0", "8M", SmallDisks.changesEnd),
            ("0", "8388609", SmallDisks.changesEnd),
        ] {
            let outcome = try changes("--offset", offset, "--length", length)
            #expect(outcome.lines.last == expected, "\(offset) \(length)")
            #expect(outcome.status == 0)
        }
    }

    @Test func emptyWindows() throws {
        for (arguments, next) in [
            (["--offset", "8M"], 8_388_608), (["--offset", "8M", "--length", "1M"], 8_388_608),
            (["--length", "0"], 0), (["--offset", "1M", "--length", "0"], 1_048_576),
        ] {
            let outcome = try Program.run(
                ["changes", "child.avhdx", "--since", SmallDisks.baseID] + arguments,
                in: disks.folder
            )
            #expect(outcome.lines == [header(), end(0, next, ranges: 0, data: 0)], "\(arguments)")
            #expect(outcome.status == 0)
        }
    }

    @Test func granularity() throws {
        let outcome = try changes("--granularity", "64K")
        #expect(
            outcome.lines == [
                header(granularity: 65_536), range(1_048_576, 65_536), range(3_145_728, 1_048_576, "zero"),
                range(7_340_032, 1_048_576), end(8_388_608, 8_388_608, ranges: 3, data: 1_114_112, zero: 1_048_576),
            ]
        )
        // Widened over the whole disk, and only then clipped.
        let clipped = try changes("--granularity", "4M", "--offset", "512", "--length", "1024")
        #expect(clipped.lines.dropFirst() == [range(512, 1024), end(1024, 1536, ranges: 1, data: 1024)])
    }

    @Test func windowsAddUpToTheWhole() throws {
        var ranges: [String] = []
        var offset = 0
        for length in [1_048_576, 1024, 1_049_088, 2_097_152, 4_192_768] {
            let outcome = try changes("--offset", "\(offset)", "--length", "\(length)")
            #expect(outcome.status == 0)
            ranges += outcome.lines.dropFirst().dropLast()
            offset += length
        }
        #expect(
            ranges == [
                range(1_048_576, 1024), range(1_049_600, 1024), range(1_099_776, 512),
                range(3_145_728, 1_048_576, "zero"), range(7_340_032, 1_048_576),
            ]
        )
    }

    // MARK: Failures

    private let missing =
        #"{"type":"error","status":"NOT_FOUND","return_value":32779,"reason":"FILE_NOT_FOUND","detail_code":"","#
        + #""message":"nothing.vhdx: There is no such file.","resume_offset":"#

    @Test func aFailureBeforeTheHeaderStandsAlone() throws {
        for command in [["changes", "--since", SmallDisks.baseID], ["allocated"]] {
            let outcome = try Program.run(command + ["nothing.vhdx", "--offset", "1M"], in: disks.folder)
            #expect(outcome.lines == [missing + "1048576}"])
            #expect(outcome.status == 3)
            #expect(outcome.error == "diskdelta: nothing.vhdx: There is no such file.\n")
            let document = try Program.run(command + ["nothing.vhdx", "--format", "json"], in: disks.folder)
            #expect(document.output == #"{"header":null,"ranges":[],"error":\#(missing)0}}"# + "\n")
            #expect(document.status == 3)
            #expect(document.error == outcome.error)
            let table = try Program.run(command + ["nothing.vhdx", "--format", "table"], in: disks.folder)
            #expect(table.output == "")
            #expect(table.status == 3)
            #expect(table.error == outcome.error)
        }
    }

    @Test func aFailureAfterTheHeaderIsTheLastLine() throws {
        try disks.writeDamagedDisk()
        let outcome = try run("allocated", "damaged.vhdx")
        #expect(outcome.status == 9)
        #expect(try Program.object(outcome.lines.first ?? "")["type"] as? String == "header")
        let error = try outcome.lastObject()
        #expect(error["type"] as? String == "error")
        #expect(error["reason"] as? String == "IMAGE_CORRUPT")
        #expect(error["status"] as? String == "DATA_LOSS")
        #expect(error["return_value"] as? Int == 32_768)
        #expect((error["detail_code"] as? String)?.hasPrefix("0xC03A00") == true)
        #expect(!outcome.output.contains(#""type":"end""#))
        #expect(outcome.error.hasPrefix("diskdelta: damaged.vhdx: "))
        #expect(outcome.error.filter { $0 == "\n" }.count == 1)

        // What was printed ends where the answer can be taken up again.
        let resume = try #require(error["resume_offset"] as? Int)
        let ranges = try outcome.lines.dropFirst().dropLast().map { try Program.object($0) }
        for range in ranges {
            let end = (range["offset"] as? Int ?? .max) + (range["length"] as? Int ?? 0)
            #expect(end <= resume)
        }
        #expect(resume <= 5 << 20)

        let document = try run("allocated", "damaged.vhdx", "--format", "json")
        #expect(document.status == 9)
        #expect(document.lines.count == 1)
        let parts = try document.lastObject()
        #expect(parts["header"] is [String: Any])
        #expect((parts["ranges"] as? [Any])?.count == ranges.count)
        #expect((parts["error"] as? [String: Any])?["reason"] as? String == "IMAGE_CORRUPT")
        #expect(parts["end"] == nil)

        let table = try run("allocated", "damaged.vhdx", "--format", "table")
        #expect(table.status == 9)
        #expect(table.output.contains("INCOMPLETE"))
        #expect(!table.output.contains("complete:"))
    }

    @Test func aNameThatJSONMustEscape() throws {
        let name = "we\"ird\\\n\u{1}\u{7F}ü✓.vhdx"
        try SmallDisks.disk("55555555-5555-4555-8555-555555555555").write(to: disks.folder.file(name))
        for format in ["ndjson", "json"] {
            let outcome = try run("allocated", name, "--format", format)
            #expect(outcome.status == 0)
            #expect(outcome.lines.count == (format == "json" ? 1 : 2))
            let first = try Program.object(outcome.lines.first ?? "")
            let header = format == "json" ? first["header"] as? [String: Any] : first
            #expect(header?["disk"] as? String == name)
            let failure = try run("allocated", name + "x", "--format", format)
            #expect(failure.status == 9 || failure.status == 3)
            #expect(failure.lines.count == 1)
            #expect(failure.error.filter { $0 == "\n" }.count == 1)
        }
    }
}

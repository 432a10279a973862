import DiskImages
import Foundation
import TestSupport
import Testing

/// The exit code of each failure that a local disk can meet, with the line that tells it.
@Suite("Exit codes", .enabled(if: Program.isBuilt, "\(Program.absence)"))
struct ExitCodeTests {
    private let disks: SmallDisks

    init() throws { disks = try SmallDisks() }

    private func expect(
        _ code: Int32,
        _ reason: String,
        _ status: String,
        _ returnValue: Int,
        _ detail: String?,
        _ arguments: String...,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let outcome = try Program.run(arguments, in: disks.folder)
        let line = try outcome.lastObject()
        #expect(outcome.status == code, sourceLocation: sourceLocation)
        #expect(outcome.lines.count == 1, sourceLocation: sourceLocation)
        #expect(line["type"] as? String == "error", sourceLocation: sourceLocation)
        #expect(line["reason"] as? String == reason, sourceLocation: sourceLocation)
        #expect(line["status"] as? String == status, sourceLocation: sourceLocation)
        #expect(line["return_value"] as? Int == returnValue, sourceLocation: sourceLocation)
        if let detail { #expect(line["detail_code"] as? String == detail, sourceLocation: sourceLocation) }
        #expect(line.count == 7, sourceLocation: sourceLocation)
        let message = try #require(line["message"] as? String)
        #expect(outcome.error == "diskdelta: \(message)\n", sourceLocation: sourceLocation)
    }

    @Test func aDiskThatIsNotThere() throws {
        try expect(3, "FILE_NOT_FOUND", "NOT_FOUND", 32_779, "", "info", "nothing.vhdx")
        try expect(3, "FILE_NOT_FOUND", "NOT_FOUND", 32_779, "", "allocated", "base.vhdx/x")
        try expect(3, "FILE_NOT_FOUND", "NOT_FOUND", 32_779, "", "info", "")
    }

    @Test(.enabled(if: getuid() != 0, "the superuser may read every file"))
    func aDiskThatMayNotBeRead() throws {
        #expect(chmod(disks.folder.file("base.vhdx"), 0) == 0)
        try expect(4, "ACCESS_DENIED", "PERMISSION_DENIED", 32_769, "", "info", "base.vhdx")
    }

    @Test func baselinesThatCannotBeUsed() throws {
        func changes(_ since: String, _ more: String...) -> [String] {
            ["changes", "child.avhdx", "--since", since] + more
        }
        try expect(
            5,
            "BASELINE_MALFORMED",
            "INVALID_ARGUMENT",
            32_773,
            "0xC03A0029",
            "changes",
            "child.avhdx",
            "--since",
            ""
        )
        for id in ["yesterday", "{22222222}", "rctX:1", "bitmap:"] {
            try expect(
                5,
                "BASELINE_MALFORMED",
                "INVALID_ARGUMENT",
                32_773,
                "0xC03A0029",
                "changes",
                "child.avhdx",
                "--since",
                id
            )
        }
        let unknown = "{99999999-2222-4222-8222-222222222222}"
        for id in [unknown, "bitmap:a", "snapshot:a", "backing:a"] {
            try expect(
                5,
                "BASELINE_UNKNOWN",
                "FAILED_PRECONDITION",
                32_775,
                "0xC03A0030",
                "changes",
                "child.avhdx",
                "--since",
                id
            )
        }
        try expect(
            5,
            "BASELINE_UNKNOWN",
            "FAILED_PRECONDITION",
            32_775,
            "0xC03A0030",
            "changes",
            "child.avhdx",
            "--since",
            SmallDisks.baseID,
            "--target",
            unknown
        )
        try expect(
            5,
            "EPOCH_CHANGED",
            "ABORTED",
            32_775,
            "",
            "changes",
            "child.avhdx",
            "--since",
            SmallDisks.baseID,
            "--if-epoch",
            "0"
        )
        var twin = SmallDisks.disk("22222222-2222-4222-8222-222222222222")
        twin.setParent(SmallDisks.disk("33333333-3333-4333-8333-333333333333").dataWriteGUID, path: "child.avhdx")
        try twin.write(to: disks.folder.file("twin.avhdx"))
        try expect(
            5,
            "BASELINE_AMBIGUOUS",
            "FAILED_PRECONDITION",
            32_775,
            "",
            "changes",
            "twin.avhdx",
            "--since",
            SmallDisks.baseID
        )
    }

    @Test("Values that only the disk can judge")
    func badValues() throws {
        let ask = ["changes", "child.avhdx", "--since", SmallDisks.baseID]
        func expect(_ reason: String, _ status: String, _ arguments: String...) throws {
            let outcome = try Program.run(ask + arguments, in: disks.folder)
            #expect(outcome.status == 2, "\(arguments)")
            let line = try outcome.lastObject()
            #expect(line["reason"] as? String == reason, "\(arguments)")
            #expect(line["status"] as? String == status)
            #expect(line["return_value"] as? Int == 32_773)
            #expect(line["detail_code"] as? String == "")
        }
        try expect("INVALID_PARAMETER", "INVALID_ARGUMENT", "--offset", "1")
        try expect("INVALID_PARAMETER", "INVALID_ARGUMENT", "--length", "513")
        try expect("INVALID_PARAMETER", "INVALID_ARGUMENT", "--granularity", "0")
        try expect("INVALID_PARAMETER", "INVALID_ARGUMENT", "--granularity", "256")
        try expect("INVALID_PARAMETER", "INVALID_ARGUMENT", "--granularity", "3K")
        try expect("OFFSET_OUT_OF_RANGE", "OUT_OF_RANGE", "--offset", "8388609")
        try expect("OFFSET_OUT_OF_RANGE", "OUT_OF_RANGE", "--offset", "9M", "--length", "0")
        try expect("OFFSET_OUT_OF_RANGE", "OUT_OF_RANGE", "--offset", "18446744073709551615", "--length", "1")
        let below = try Program.run(
            "changes",
            "child.avhdx",
            "--since",
            SmallDisks.childID,
            "--target",
            SmallDisks.baseID,
            in: disks.folder
        )
        #expect(below.status == 2)
        #expect(try below.lastObject()["reason"] as? String == "INVALID_PARAMETER")
    }

    @Test func chainsThatCannotBeTrusted() throws {
        var orphan = SmallDisks.disk("77777777-7777-4777-8777-777777777777")
        orphan.setParent(GUID(high: 1, low: 1), path: "gone.vhdx")
        try orphan.write(to: disks.folder.file("orphan.avhdx"))
        try expect(9, "PARENT_NOT_FOUND", "FAILED_PRECONDITION", 32_779, "0xC03A000D", "info", "orphan.avhdx")
        orphan.setParent(GUID(high: 1, low: 1), path: "base.vhdx")
        try orphan.write(to: disks.folder.file("orphan.avhdx"))
        try expect(9, "PARENT_MISMATCH", "FAILED_PRECONDITION", 32_775, "0xC03A000E", "allocated", "orphan.avhdx")
        orphan.setParent(orphan.dataWriteGUID, path: "orphan.avhdx")
        try orphan.write(to: disks.folder.file("orphan.avhdx"))
        try expect(9, "CHAIN_CYCLE", "FAILED_PRECONDITION", 32_775, "0xC03A0018", "info", "orphan.avhdx")
    }

    @Test func filesThatCannotBeTrusted() throws {
        let folder = disks.folder
        try Data(repeating: 0x41, count: 1 << 20).write(to: URL(fileURLWithPath: folder.file("text.vhdx")))
        try expect(9, "NOT_A_DISK", "INVALID_ARGUMENT", 32_776, "0xC03A0004", "info", "text.vhdx")
        try Data().write(to: URL(fileURLWithPath: folder.file("empty.vhdx")))
        try expect(9, "NOT_A_DISK", "INVALID_ARGUMENT", 32_776, "0xC03A0004", "info", "empty.vhdx")
        try expect(9, "NOT_A_DISK", "INVALID_ARGUMENT", 32_776, "0xC03A0004", "info", ".")
        #expect(mkfifo(folder.file("pipe.vhdx"), 0o600) == 0)
        try expect(9, "NOT_A_DISK", "INVALID_ARGUMENT", 32_776, "0xC03A0004", "info", "pipe.vhdx")
        let file = try RawFile(folder.file("base.vhdx"))
        for offset in [UInt64(64 << 10), 128 << 10] { try file.write([0xFF], at: offset + 100) }
        try expect(9, "IMAGE_CORRUPT", "DATA_LOSS", 32_768, nil, "info", "base.vhdx")
    }

    @Test func whatThisVersionDoesNotRead() throws {
        let file = disks.folder.file("set.vhds")
        try Data(count: 4096).write(to: URL(fileURLWithPath: file))
        try expect(1, "UNSUPPORTED", "UNIMPLEMENTED", 32_770, "", "info", "set.vhds")
    }

    @Test func theDeadline() throws {
        try disks.writeLargeAnswer()
        let outcome = try Program.run(
            "--deadline",
            "1ms",
            "changes",
            "large.avhdx",
            "--since",
            SmallDisks.largeBaseID,
            in: disks.folder
        )
        #expect(outcome.status == 8)
        let line = try outcome.lastObject()
        #expect(line["reason"] as? String == "DEADLINE")
        #expect(line["status"] as? String == "DEADLINE_EXCEEDED")
        #expect(line["return_value"] as? Int == 32_772)
    }
}

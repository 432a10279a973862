import Foundation
import TestSupport
import Testing

/// `--image-format` and `--if-size`: what is said of a disk beside its name.
@Suite("What is said of a disk", .enabled(if: Program.isBuilt, "\(Program.absence)"))
struct DiskFormatTests {
    private let disks: SmallDisks

    init() throws {
        disks = try SmallDisks()
        for name in ["cloud.img", "noext"] {
            try FileManager.default.copyItem(atPath: disks.folder.file("child.avhdx"), toPath: disks.folder.file(name))
        }
    }

    private func run(_ arguments: [String]) throws -> Program.Outcome { try Program.run(arguments, in: disks.folder) }

    private func commands(_ disk: String) -> [[String]] {
        [
            ["info", disk], ["allocated", disk], ["summary", disk], ["image", "check", disk],
            ["changes", disk, "--since", SmallDisks.baseID, "--on-unavailable", "allocated"],
            ["summary", disk, "--since", SmallDisks.baseID, "--on-unavailable", "whole"],
        ]
    }

    @Test("A disk of another format under the name of a raw one is refused, until it is said to be raw")
    func misnamed() throws {
        for command in commands("cloud.img") {
            let refusal = try run(command)
            #expect(refusal.status == 9, "\(command)")
            #expect(refusal.output.contains("NOT_A_DISK") && refusal.output.contains("a VHDX file"), "\(command)")
            #expect(refusal.output.contains("--image-format raw") && refusal.output.contains(".vhdx"), "\(command)")
            #expect(!refusal.output.contains(#""complete":true"#))
            #expect(try run(command + ["--image-format", "raw"]).status == 0, "\(command)")
            let contrary = try run(command + ["--image-format", "vhdx"])
            #expect(contrary.status == 2 && contrary.output.contains("INVALID_PARAMETER"), "\(command)")
        }
        let size = try FileManager.default.attributesOfItem(atPath: disks.folder.file("cloud.img"))[.size] as? Int
        let info = try run(["info", "cloud.img", "--image-format", "raw"]).lastObject()
        #expect(info["format"] as? String == "raw" && info["size"] as? Int == size)
    }

    @Test func aNameWithoutAClaim() throws {
        for command in commands("noext") {
            #expect(try run(command).output == run(command + ["--image-format", "vhdx"]).output, "\(command)")
            #expect(try run(command + ["--image-format", "vhdx"]).status == 0, "\(command)")
            #expect(try run(command + ["--image-format", "qcow2"]).status == 9, "\(command)")
        }
        #expect(try run(["info", "noext", "--image-format", "raw"]).lastObject()["format"] as? String == "raw")
    }

    @Test func theSizeThatTheDiskMustHave() throws {
        let questions = [
            ["changes", "child.avhdx", "--since", SmallDisks.baseID], ["allocated", "child.avhdx"],
            ["summary", "child.avhdx"], ["summary", "child.avhdx", "--since", SmallDisks.baseID],
        ]
        for question in questions {
            #expect(try run(question + ["--if-size", "8M"]).output == run(question).output)
            for other in ["0", "4M", "8388609"] {
                let refusal = try run(question + ["--if-size", other])
                #expect(refusal.status == 5 && refusal.output.contains(#""reason":"EPOCH_CHANGED""#), "\(question)")
            }
        }
    }

    @Test func linesOfManyDisks() throws {
        let lines = [
            #"{"disk":"cloud.img","since":"x"}"#,
            #"{"disk":"noext","since":"\#(SmallDisks.baseID)","image_format":"vhdx","if_size":8388608}"#,
            #"{"disk":"child.avhdx","since":"\#(SmallDisks.baseID)","if_size":0}"#,
            #"{"if_size":null,"disk":"child.avhdx","since":"x"}"#,
        ]
        let list = disks.folder.file("list")
        try Data(lines.dropLast().joined(separator: "\n").utf8).write(to: URL(fileURLWithPath: list))
        let outcome = try run(["changes", "--batch", list])
        func last(_ disk: String) -> String { outcome.lines.last { $0.contains(#""disk":"\#(disk)""#) } ?? "" }
        #expect(outcome.status == 1)
        #expect(last("cloud.img").contains("NOT_A_DISK"))
        #expect(last("noext").contains(#""complete":true"#))
        #expect(last("child.avhdx").contains("EPOCH_CHANGED"))
        try Data(lines.joined(separator: "\n").utf8).write(to: URL(fileURLWithPath: list))
        let bad = try run(["changes", "--batch", list])
        #expect(bad.status == 2 && bad.output == "" && bad.error.contains("line 4 of"))
    }

    @Test(
        "Usage",
        arguments: [
            ["info", "noext", "--image-format", "vmdk"], ["info", "noext", "--image-format", "RAW"],
            ["info", "noext", "--image-format"], ["changes", "--batch", "-", "--image-format", "raw"],
            ["changes", "--batch", "-", "--if-size", "1M"], ["allocated", "child.avhdx", "--if-size", "-1"],
            ["allocated", "child.avhdx", "--if-size", "1k"], ["info", "child.avhdx", "--if-size", "8M"],
            ["set", "list", "x.vhdset.json", "--image-format", "raw"],
        ]
    )
    func usage(arguments: [String]) throws {
        try Program.expectUsage(arguments, in: disks.folder, sourceLocation: #_sourceLocation)
    }
}

import Foundation
import TestSupport
import Testing

@Suite("Usage of the commands about many disks, sums and jobs", .enabled(if: Program.isBuilt, "\(Program.absence)"))
struct CommandUsageTests {
    private let disks: SmallDisks

    init() throws { disks = try SmallDisks() }

    private func expectUsage(
        _ arguments: [String],
        environment: [String: String] = [:],
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        try Program.expectUsage(arguments, environment: environment, in: disks.folder, sourceLocation: sourceLocation)
    }

    private func file(_ name: String, _ text: String) throws -> String {
        let path = disks.folder.file(name)
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        return path
    }

    @Test("What to answer with where changes cannot be told", arguments: ["", "never", "Fail", "allocated,whole"])
    func badFallback(word: String) throws {
        for command in [["changes", "child.avhdx", "--since", SmallDisks.baseID], ["summary", "child.avhdx"]] {
            try expectUsage(command + ["--on-unavailable", word])
        }
        try expectUsage(["changes", "child.avhdx", "--since", SmallDisks.baseID, "--on-unavailable"])
    }

    @Test("Either one disk or many")
    func oneOrMany() throws {
        let list = try file("list", #"{"disk":"child.avhdx","since":"x"}"#)
        try expectUsage(["changes", "--batch"])
        for more in [
            ["child.avhdx"], ["--since", "x"], ["--target", "x"], ["child.avhdx", "--since", "x"], ["--if-epoch", "e"],
        ] {
            try expectUsage(["changes", "--batch", list] + more)
        }
        for command in [["changes"], ["changes", "child.avhdx"], ["changes", "--since", "x"]] {
            try expectUsage(command + ["--target", "x"])
        }
    }

    @Test(
        "A line that is no question",
        arguments: [
            "x", "[]", "1", #""a""#, "{}", #"{"disk":"a"}"#, #"{"since":"a"}"#, #"{"disk":"a","since":1}"#,
            #"{"disk":null,"since":"a"}"#, #"{"disk":"a","since":"b","target":null}"#,
            #"{"disk":"a","since":"b","traget":"c"}"#, #"{"disk":"a","since":"b","target":"c","more":"d"}"#,
            #"{"disk":"a","since":"b"} {"disk":"a","since":"b"}"#, #"{"disk":"a","since":"b""#,
            #"[{"disk":"a","since":"b"}]"#, #"{"disk":["a"],"since":"b"}"#, "\u{FEFF}x",
            #"{"disk":"a","since":"b","image_format":"vmdk"}"#, #"{"disk":"a","since":"b","image_format":""}"#,
            #"{"disk":"a","since":"b","image_format":5}"#, #"{"disk":"a","since":"b","if_size":"1"}"#,
            #"{"disk":"a","since":"b","if_size":-1}"#, #"{"disk":"a","since":"b","if_size":1.5}"#,
            #"{"disk":"a","since":"b","if_size":true}"#, #"{"disk":"a","since":"b","if_size":18446744073709551616}"#,
            String(repeating: "[", count: 100_000),
        ]
    )
    func badLines(line: String) throws {
        // The good lines before and after it are not asked about: nothing is printed.
        let good = #"{"disk":"child.avhdx","since":"\#(SmallDisks.baseID)"}"#
        let list = try file("list", [good, "", good, line, good].joined(separator: "\r\n"))
        for format in ["ndjson", "json", "table"] {
            let outcome = try Program.run("changes", "--batch", list, "--format", format, in: disks.folder)
            #expect(outcome.status == 2 && outcome.output == "")
            #expect(outcome.error.hasPrefix("diskdelta: line 4 of \(list) is not"), "\(outcome.error)")
            #expect(outcome.error.filter { $0 == "\n" }.count == 1)
        }
    }

    @Test func bytesThatAreNoText() throws {
        let path = disks.folder.file("list")
        try Data(Array(#"{"disk":"a"#.utf8) + [0xFF] + Array(#"","since":"b"}"#.utf8))
            .write(to: URL(fileURLWithPath: path))
        try expectUsage(["changes", "--batch", path])
    }

    @Test("A list that cannot be read, or does not end", arguments: ["missing", ".", "/dev/zero", ""])
    func badLists(path: String) throws {
        try expectUsage(["changes", "--batch", path])
    }

    @Test func aTargetWithoutABaseline() throws {
        try expectUsage(["summary", "child.avhdx", "--target", SmallDisks.childID])
    }

    @Test(
        "Jobs are kept by a server",
        arguments: [
            ["start", "child.avhdx", "--since", SmallDisks.baseID], ["list"], ["show", "x"], ["wait", "x"],
            ["results", "x"], ["cancel", "x"], ["delete", "x"],
        ]
    )
    func jobsWithoutAServer(arguments: [String]) throws {
        for format in ["ndjson", "json", "table"] {
            try expectUsage(["job"] + arguments + ["--format", format])
        }
        try expectUsage(["job"] + arguments, environment: ["DISKDELTA_SERVER": ""])
    }

    @Test(
        "A job command that lacks something, or has too much",
        arguments: [
            ["start"], ["start", "a"], ["start", "--since", "x"], ["show"], ["wait"], ["results"], ["cancel"],
            ["delete"], ["list", "x"], ["show", "x", "y"], ["nonsense"], ["results", "x", "--offset", "1k"],
            ["start", "a", "--since", "x", "--offset", "-1"],
        ]
    )
    func badJobCommands(arguments: [String]) throws {
        try expectUsage(["--server", "127.0.0.1:1", "job"] + arguments)
    }
}

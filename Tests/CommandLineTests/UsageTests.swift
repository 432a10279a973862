import Foundation
import TestSupport
import Testing

@Suite("Usage", .enabled(if: Program.isBuilt, "\(Program.absence)"))
struct UsageTests {
    private let disks: SmallDisks

    init() throws { disks = try SmallDisks() }

    private func expectUsage(
        _ arguments: [String],
        environment: [String: String] = [:],
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        try Program.expectUsage(arguments, environment: environment, in: disks.folder, sourceLocation: sourceLocation)
    }

    @Test(
        "A bad flag or value",
        arguments: [
            ["nonsense"], ["changes"], ["changes", "child.avhdx"], ["changes", "--since", "x"], ["info"], ["allocated"],
            ["info", "a", "b"], ["info", "--nonsense", "a"], ["--nonsense", "info", "a"],
            ["changes", "child.avhdx", "--since"], ["allocated", "child.avhdx", "--since", "x"],
            ["info", "child.avhdx", "--format", "xml"], ["info", "child.avhdx", "--format", "JSON"],
            ["info", "child.avhdx", "--format", ""], ["info", "child.avhdx", "--format"],
        ]
    )
    func badFlags(arguments: [String]) throws {
        try expectUsage(arguments)
    }

    @Test(
        "A size that is none",
        arguments: [
            "", " ", "K", "-1", "+1", "1k", "1KB", "1KiB", "1.5M", "0x200", "1 M", "1E", "1P", "M1", "1MM", "１",
            "18446744073709551616", "16777216T", "18014398509481984K", "nan",
        ]
    )
    func badSizes(size: String) throws {
        let option = ["--offset", "--length", "--granularity"][size.utf8.count % 3]
        try expectUsage(["allocated", "child.avhdx", option, size])
    }

    @Test("Every option that takes a size", arguments: ["--offset", "--length", "--granularity"])
    func optionsOfSizes(option: String) throws {
        for size in ["", "1k", "-1", "18446744073709551616"] {
            try expectUsage(["allocated", "child.avhdx", option, size])
        }
    }

    @Test(
        "A duration that is none",
        arguments: [
            "", "5", "s", "ms", "-1s", "1.5s", "1d", "1S", "1 s", "0s", "0ms", "9223372036854775807h", "2147484s",
        ]
    )
    func badDurations(duration: String) throws {
        try expectUsage(["--deadline", duration, "info", "child.avhdx"])
    }

    @Test("A duration", arguments: ["60000ms", "60s", "5m", "2h", "2147483s"])
    func goodDurations(duration: String) throws {
        #expect(try Program.run("--deadline", duration, "info", "child.avhdx", in: disks.folder).status == 0)
    }

    @Test("A flag whose feature is not built yet does not exist")
    func flagsOfLaterFeatures() throws {
        for flag in ["--token", "--password"] {
            try expectUsage([flag, "x", "--server", "127.0.0.1:1", "info", "a"])
            try expectUsage([flag, "x", "info", "child.avhdx"])
        }
        for command in [["info", "child.avhdx"], ["allocated", "child.avhdx"], ["summary", "child.avhdx"]] {
            try expectUsage(command + ["--batch", "x"])
        }
        try expectUsage(["info", "child.avhdx", "--on-unavailable", "whole"])
    }

    // MARK: What protects a connection

    private let server = ["--server", "127.0.0.1:1"]

    private func file(_ name: String, _ text: String) throws -> String {
        let path = disks.folder.file(name)
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        return path
    }

    @Test(
        "A flag about a server has no meaning without one",
        arguments: ["--ca", "--certificate", "--key", "--token-file"]
    )
    func flagsWithoutAServer(flag: String) throws {
        try expectUsage([flag, "x", "info", "child.avhdx"])
        try expectUsage([flag, "x", "changes", "child.avhdx", "--since", SmallDisks.baseID])
        try expectUsage([flag, "x", "image", "check", "child.avhdx"])
        try expectUsage([flag, "x", "set", "list", "a.vhdset.json"])
        try expectUsage([flag, "x", "info", "child.avhdx"], environment: ["DISKDELTA_SERVER": ""])
        try expectUsage(["--patience", "1s", "info", "child.avhdx"])
    }

    @Test("Files that protect nothing")
    func filesThatProtectNothing() throws {
        let text = try file("text.pem", "this is no certificate\n")
        for missing in ["missing.pem", text, disks.folder.path, ""] {
            try expectUsage(server + ["--ca", missing, "info", "a"])
            try expectUsage(server + ["--certificate", missing, "--key", missing, "info", "a"])
        }
        try expectUsage(server + ["--certificate", text, "info", "a"])
        try expectUsage(server + ["--key", text, "info", "a"])
        let environment = ["DISKDELTA_SERVER": "127.0.0.1:1"]
        for (name, value) in [
            ("DISKDELTA_CA", text), ("DISKDELTA_CERTIFICATE", text), ("DISKDELTA_KEY", text),
            ("DISKDELTA_TOKEN_FILE", "missing"),
        ] {
            for command in [["info", "a"], ["check"], ["changes", "a", "--since", "x"], ["allocated", "a"]] {
                try expectUsage(command, environment: environment.merging([name: value]) { $1 })
            }
        }
    }

    @Test("A token file that holds none, or more")
    func tokenFiles() throws {
        for (index, content) in ["", "\n", " \n", "a\nb", "a b", "ä", String(repeating: "a", count: 20_000)]
            .enumerated()
        {
            let path = try file("token-\(index)", content)
            let outcome = try Program.run(server + ["--token-file", path, "info", "a"], in: disks.folder)
            #expect(outcome.status == 2, "\(index)")
            #expect(outcome.output == "" && outcome.error.filter { $0 == "\n" }.count == 1, "\(outcome.error)")
            #expect(outcome.error.contains("token-\(index)"), "\(outcome.error)")
        }
        // A token as such is well: then only nobody listens. The flag wins over the environment.
        let good = try file("token", "  secret-token\n")
        let outcome = try Program.run(
            server + ["--token-file", good, "info", "a"],
            environment: ["DISKDELTA_TOKEN_FILE": "missing"],
            in: disks.folder
        )
        #expect(outcome.status == 7)
        #expect(!(outcome.output + outcome.error).contains("secret"))
    }

    @Test("A token is not sent where others could read it")
    func tokensInPlaintext() throws {
        let token = try file("token", "secret-token\n")
        for address in ["192.0.2.1:7420", "[2001:db8::1]:7420", "example.com:7420", "127.example.com:1"] {
            try expectUsage(["--server", address, "--token-file", token, "info", "a"])
            let environment = ["DISKDELTA_SERVER": address, "DISKDELTA_TOKEN_FILE": token]
            try expectUsage(["check"], environment: environment)
        }
        for address in ["localhost:1", "[::1]:1", "127.0.0.9:1", "unix:/nonexistent/socket"] {
            let outcome = try Program.run(["--server", address, "--token-file", token, "info", "a"], in: disks.folder)
            #expect(outcome.status == 7, "\(outcome.error)")
        }
    }

    @Test("A Unix socket carries no TLS")
    func unixSockets() throws {
        try expectUsage(["--server", "unix:/a", "--ca", "x", "info", "a"])
        try expectUsage(["--server", "unix:/a", "--certificate", "x", "--key", "y", "info", "a"])
        try expectUsage(["--server", "unix:/a", "info", "a"], environment: ["DISKDELTA_CA": "x"])
    }

    @Test("A patience that is none", arguments: ["", "0", "5", "-1s", "1.5s", "off", "00s"])
    func badPatience(patience: String) throws {
        try expectUsage(server + ["--patience", patience, "info", "a"])
    }

    @Test func checkWithoutAServer() throws {
        for format in ["ndjson", "json", "table"] {
            try expectUsage(["check", "--format", format])
            try expectUsage(["check", "--format", format], environment: ["DISKDELTA_SERVER": ""])
        }
    }

    @Test("A server is asked where one is named, by the flag or by the environment")
    func aServerThatIsNotThere() throws {
        for command in [["info", "child.avhdx"], ["check"], ["allocated", "child.avhdx"]] {
            for (flags, environment) in [
                (["--server", "127.0.0.1:1"], [:]), ([], ["DISKDELTA_SERVER": "127.0.0.1:1"]),
            ] as [([String], [String: String])] {
                let outcome = try Program.run(flags + command, environment: environment, in: disks.folder)
                #expect(outcome.status == 7)
                let line = try outcome.lastObject()
                #expect(line["reason"] as? String == "SERVER_UNAVAILABLE")
                #expect(line["status"] as? String == "UNAVAILABLE")
                #expect(line["return_value"] as? Int == 32_777)
            }
        }
        let local = try Program.run("info", "child.avhdx", environment: ["DISKDELTA_SERVER": ""], in: disks.folder)
        #expect(local.status == 0)
    }

    @Test func helpAndVersionAreNoFailures() throws {
        let help = try Program.run("--help", in: disks.folder)
        #expect(help.status == 0)
        for command in ["info", "changes", "allocated", "summary", "check", "job"] {
            #expect(help.output.contains(command))
        }
        let version = try Program.run("--version", in: disks.folder)
        #expect(version.status == 0)
        #expect(version.lines.count == 1)
        #expect(try Program.run("changes", "--help", in: disks.folder).status == 0)
    }

    /// The message has nowhere to go; the exit code must tell all the same.
    @Test(
        "A failure with standard error closed",
        arguments: [(["changes"], 2), (["info", "no-such.vhdx"], 3)] as [([String], Int32)]
    )
    func closedStandardError(arguments: [String], status: Int32) throws {
        let shell = BuiltProgram("sh", candidates: ["/bin/sh"])
        let script = ["-c", "exec \"$0\" \"$@\" 2>&-", try #require(Program.program.path)]
        #expect(try shell.run(script + arguments, in: disks.folder).status == status)
    }
}

import Foundation
import Testing

/// What is generated from a small schema is what is recorded beside it.
///
/// After a change that is meant, run the tests once with `DISKDELTA_RECORD=1`, read the difference, and commit it.
@Suite(.enabled(if: Plugin.isPresent, Plugin.absence))
struct GoldenTests {
    @Test(arguments: ["swift", "c"])
    func theOutputIsAsRecorded(target: String) throws {
        let outcome = try Plugin.run("target=\(target)", ["example.proto", "example_types.proto"], in: Plugin.golden)
        try #require(outcome.status == 0, "\(outcome.messages)")
        let folder = Plugin.golden.appending(path: target)
        if ProcessInfo.processInfo.environment["DISKDELTA_RECORD"] != nil {
            try record(outcome.files, in: folder)
        }
        let recorded = try recordedFiles(in: folder)
        #expect(Set(outcome.files.keys) == Set(recorded.keys))
        for (name, expected) in recorded {
            let lines = (outcome.files[name] ?? "").split(separator: "\n", omittingEmptySubsequences: false)
            let expectedLines = expected.split(separator: "\n", omittingEmptySubsequences: false)
            for (number, (line, expectedLine)) in zip(lines, expectedLines).enumerated() {
                try #require(line == expectedLine, "\(name), line \(number + 1)")
            }
            #expect(lines.count == expectedLines.count, "\(name)")
        }
    }

    @Test func theOutputIsTheSameEachTime() throws {
        let first = try Plugin.run("target=swift", ["example.proto"], in: Plugin.golden)
        let second = try Plugin.run("target=swift", ["example.proto"], in: Plugin.golden)
        #expect(first.files == second.files)
        #expect(first.files.count == 3)
    }

    @Test(arguments: ["", "target", "target=", "target=rust", "target=swift,target=c", "language=swift"])
    func anUnknownParameterIsRefused(parameter: String) throws {
        let outcome = try Plugin.run(parameter, ["example.proto"], in: Plugin.golden)
        #expect(outcome.status != 0)
        #expect(outcome.messages.contains("target=swift or target=c"))
        #expect(outcome.files.isEmpty)
    }

    private func recordedFiles(in folder: URL) throws -> [String: String] {
        var files: [String: String] = [:]
        for case let name as String in FileManager.default.enumerator(atPath: folder.path) ?? .init() {
            files[name] = try? String(contentsOf: folder.appending(path: name), encoding: .utf8)
        }
        return files
    }

    private func record(_ files: [String: String], in folder: URL) throws {
        try? FileManager.default.removeItem(at: folder)
        for (name, content) in files {
            let file = folder.appending(path: name)
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(),
                withIntermediateDirectories: true
            )
            try content.write(to: file, atomically: true, encoding: .utf8)
        }
    }
}

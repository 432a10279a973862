import Foundation
import TestSupport
import Testing

/// A reader that stops, and a person who does.
@Suite("Interruption", .enabled(if: Program.isBuilt, "\(Program.absence)"), .timeLimit(.minutes(2)))
struct InterruptionTests {
    private let disks: SmallDisks

    init() throws {
        disks = try SmallDisks()
        try disks.writeLargeAnswer()
    }

    /// The program in the middle of a large answer: its pipe is full, and the first line was read.
    private func start(
        _ format: String,
        _ question: [String] = ["changes", "large.avhdx", "--since", SmallDisks.largeBaseID]
    ) throws -> (process: Process, output: FileHandle, error: Pipe, first: Data) {
        let process = try Program.process(question + ["--format", format], in: disks.folder)
        let output = Pipe()
        let error = Pipe()
        process.standardOutput = output
        process.standardError = error
        try process.run()
        let first = output.fileHandleForReading.readData(ofLength: 1000)
        return (process, output.fileHandleForReading, error, first)
    }

    @Test("An answer that is interrupted says so in its last line", arguments: ["ndjson", "json", "table"])
    func interrupted(format: String) throws {
        let (process, output, error, first) = try start(format)
        process.interrupt()
        // Most of the answer is still to come, and nobody reads: the program cannot have finished.
        Thread.sleep(forTimeInterval: 0.3)
        let rest = output.readDataToEndOfFile()
        process.waitUntilExit()
        #expect(process.terminationReason == .exit)
        #expect(process.terminationStatus == 130)
        let text = String(decoding: first + rest, as: UTF8.self)
        let told = String(decoding: error.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        #expect(told.hasPrefix("diskdelta: ") && told.filter { $0 == "\n" }.count == 1)
        let last = text.split(separator: "\n").last.map(String.init) ?? ""
        switch format {
        case "ndjson":
            let object = try Program.object(last)
            #expect(object["reason"] as? String == "CANCELLED")
            #expect(object["status"] as? String == "CANCELLED")
            #expect((object["resume_offset"] as? Int ?? 0) < 300 << 20)
            #expect(!text.contains(#""type":"end""#))
        case "json":
            let object = try Program.object(text)
            #expect((object["error"] as? [String: Any])?["reason"] as? String == "CANCELLED")
            #expect(object["end"] == nil)
            #expect(object["header"] is [String: Any])
        default:
            #expect(last.contains("INCOMPLETE"))
        }
    }

    @Test("Of many disks, each that is not complete says so", arguments: ["ndjson", "json"])
    func manyInterrupted(format: String) throws {
        let line = #"{"disk":"large.avhdx","since":"\#(SmallDisks.largeBaseID)"}"#
        let list = disks.folder.file("list")
        try Data([line, line, line].joined(separator: "\n").utf8).write(to: URL(fileURLWithPath: list))
        let (process, output, error, first) = try start(format, ["changes", "--batch", list])
        process.interrupt()
        // Most of the first answer is still to come, and nobody reads: the program cannot have finished.
        Thread.sleep(forTimeInterval: 0.3)
        let text = String(decoding: first + output.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 130)
        let told = String(decoding: error.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        #expect(told.hasPrefix("diskdelta: 3 of 3 disks have no complete answer"))
        #expect(told.filter { $0 == "\n" }.count == 1)
        if format == "json" {
            let answers = try #require(try Program.object(text)["answers"] as? [[String: Any]])
            let reasons = answers.map { ($0["error"] as? [String: Any])?["reason"] as? String }
            #expect(reasons == Array(repeating: "CANCELLED", count: 3))
        } else {
            let lines = text.split(separator: "\n")
            #expect(lines.filter { $0.contains(#""reason":"CANCELLED""#) }.count == 3)
            #expect(!text.contains(#""type":"end""#))
        }
    }

    @Test func aSecondInterruptWaitsForNobody() throws {
        let (process, output, _, first) = try start("ndjson")
        #expect(!first.isEmpty)
        // Interrupts that come close together may count as one; the pipe stays full until the program is gone.
        while process.isRunning {
            process.interrupt()
            Thread.sleep(forTimeInterval: 0.05)
        }
        #expect(process.terminationReason == .exit)
        #expect(process.terminationStatus == 130)
        try output.close()
    }

    @Test("Where nobody reads any more, it ends quietly", arguments: ["ndjson", "json", "table"])
    func closedPipe(format: String) throws {
        let (process, output, error, first) = try start(format)
        #expect(!first.isEmpty)
        try output.close()
        process.waitUntilExit()
        #expect(process.terminationReason == .exit)
        #expect(error.fileHandleForReading.readDataToEndOfFile().isEmpty)
    }
}

import Foundation
import TestSupport

/// `diskdelta` as a process, the way a script runs it.
enum Program {
    /// The executable, which is built beside the tests; nil where it is not there.
    static let path: String? = {
        let tests = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        let folders = [tests, CommandLine.arguments.first ?? ""].map { ($0 as NSString).deletingLastPathComponent }
        let candidates = folders.map { $0 + "/diskdelta" } + [".build/debug/diskdelta"]
        return candidates.first { FileManager.default.isExecutableFile(atPath: $0) }
    }()

    static var isBuilt: Bool { path != nil }

    /// What a test that is skipped says.
    static let absence = "diskdelta is not built beside the tests: build all targets first"

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// What a run left behind.
    struct Outcome {
        var status: Int32
        var output: String
        var error: String

        /// The lines of standard output, each without its end.
        var lines: [String] {
            var lines = output.components(separatedBy: "\n")
            if lines.last == "" { lines.removeLast() }
            return lines
        }

        /// The last line of standard output as an object.
        func lastObject() throws -> [String: Any] { try Program.object(lines.last ?? "") }
    }

    /// Runs the program to its end. Variables of the environment that the program knows are only those given.
    static func run(
        _ arguments: String...,
        environment: [String: String] = [:],
        in folder: TemporaryFolder
    ) throws -> Outcome {
        try run(arguments, environment: environment, in: folder)
    }

    static func run(
        _ arguments: [String],
        environment: [String: String] = [:],
        in folder: TemporaryFolder
    ) throws -> Outcome {
        let process = try process(arguments, environment: environment, in: folder)
        // Files, and not pipes: nobody has to read them while the program runs.
        let streams = try ["out", "err"].map { name in
            let path = folder.file("\(name)-\(UUID().uuidString)")
            guard FileManager.default.createFile(atPath: path, contents: nil),
                let handle = FileHandle(forUpdatingAtPath: path)
            else { throw Failure(description: "\(path) cannot be made") }
            return (path: path, handle: handle)
        }
        process.standardOutput = streams[0].handle
        process.standardError = streams[1].handle
        try process.run()
        process.waitUntilExit()
        let texts = try streams.map { stream in
            defer { try? FileManager.default.removeItem(atPath: stream.path) }
            return String(decoding: try Data(contentsOf: URL(fileURLWithPath: stream.path)), as: UTF8.self)
        }
        let status = process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus
        return Outcome(status: status, output: texts[0], error: texts[1])
    }

    /// The program, ready to be run in `folder`.
    static func process(
        _ arguments: [String],
        environment: [String: String] = [:],
        in folder: TemporaryFolder
    ) throws -> Process {
        guard let path else { throw Failure(description: absence) }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        process.currentDirectoryURL = URL(fileURLWithPath: folder.path)
        process.environment = ProcessInfo.processInfo.environment
            .filter { !$0.key.hasPrefix("DISKDELTA") }
            .merging(environment) { $1 }
        process.standardInput = FileHandle.nullDevice
        return process
    }

    /// A line that must be one JSON object.
    static func object(_ line: String) throws -> [String: Any] {
        guard let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any] else {
            throw Failure(description: "this is no object: \(line)")
        }
        return object
    }
}

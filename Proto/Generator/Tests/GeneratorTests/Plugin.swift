import Foundation
import Testing

/// Runs protoc with the plugin under test.
enum Plugin {
    static let absence: Comment = "protoc, or the built plugin, is not there; DISKDELTA_PLUGIN may name the plugin"

    static let isPresent: Bool = path != nil && (try? execute(["--version"]).status) == 0

    struct Outcome {
        var status: Int32
        /// What protoc and the plugin told.
        var messages: String
        /// The generated files by their paths.
        var files: [String: String]
    }

    /// The folder with the schema whose generated files are recorded.
    static let golden: URL = tests.appending(path: "Golden")

    /// Generates from the files of `folder`.
    static func run(_ parameter: String, _ files: [String], in folder: URL) throws -> Outcome {
        let output = try TemporaryFolder()
        let arguments = [
            "--plugin=protoc-gen-diskdelta=\(path ?? "")",
            "--proto_path=\(folder.path)",
            "--proto_path=\(tests.appending(path: "../../..").standardized.path)",
            // Where protobuf-c's and protobuf's own schemas are installed.
            "--proto_path=/usr/include",
            "--diskdelta_out=\(parameter):\(output.path)",
        ]
        var outcome = try execute(arguments + files)
        for case let name as String in FileManager.default.enumerator(atPath: output.path) ?? .init() {
            outcome.files[name] = try? String(contentsOfFile: output.file(name), encoding: .utf8)
        }
        return outcome
    }

    private static let tests = URL(filePath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()

    /// The plugin lies where the tests were built, unless the environment names one.
    private static let path: String? = {
        if let path = ProcessInfo.processInfo.environment["DISKDELTA_PLUGIN"] { return path }
        let folder = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
        let path = folder.appending(path: "protoc-gen-diskdelta").path
        return FileManager.default.isExecutableFile(atPath: path) ? path : nil
    }()

    private static func execute(_ arguments: [String]) throws -> Outcome {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["protoc"] + arguments
        let pipe = Pipe()
        process.standardError = pipe
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        let messages = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return Outcome(status: process.terminationStatus, messages: messages, files: [:])
    }
}

import Foundation
import TestSupport
import Testing

/// Google's own encoder and decoder, as the command `protoc` offers them: a second opinion about the wire.
enum Protoc {
    static let absence: Comment = "protoc is not installed"

    static let isPresent: Bool = (try? run(["--version"], input: [])) != nil

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// The bytes of a message in text format.
    static func encode(_ text: String, as type: String, in schema: String) throws -> [UInt8] {
        try run(["--encode=\(type)", schema], input: Array(text.utf8))
    }

    /// The text format of a message's bytes.
    static func decode(_ bytes: [UInt8], as type: String, in schema: String) throws -> String {
        String(decoding: try run(["--decode=\(type)", schema], input: bytes), as: UTF8.self)
    }

    private static func run(_ arguments: [String], input: [UInt8]) throws -> [UInt8] {
        let folder = try TemporaryFolder()
        try Data(input).write(to: URL(filePath: folder.file("input")))
        try Data().write(to: URL(filePath: folder.file("output")))
        let tests = URL(filePath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["protoc", "-I", tests.appending(path: "../../../Proto").standardized.path] + arguments
        process.standardInput = try FileHandle(forReadingFrom: URL(filePath: folder.file("input")))
        process.standardOutput = try FileHandle(forWritingTo: URL(filePath: folder.file("output")))
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Failure(description: "protoc \(arguments.joined(separator: " ")) failed")
        }
        return Array(try Data(contentsOf: URL(filePath: folder.file("output"))))
    }
}

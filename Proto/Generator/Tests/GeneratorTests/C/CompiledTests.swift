import Foundation
import Testing

/// What is generated compiles as C11 without a warning, and its public headers name nothing of protobuf-c.
@Suite(.enabled(if: Plugin.isPresent, Plugin.absence), .enabled(if: Compiler.isPresent, Compiler.absence))
struct CompiledTests {
    private let output: TemporaryFolder

    init() throws {
        output = try TemporaryFolder()
        let files = ["example.proto", "example_types.proto"]
        let outcome = try Plugin.run("target=c", files, in: Plugin.golden)
        try #require(outcome.status == 0, "\(outcome.messages)")
        for (name, content) in outcome.files {
            let file = URL(filePath: output.file(name))
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(),
                withIntermediateDirectories: true
            )
            try content.write(to: file, atomically: true, encoding: .utf8)
        }
        let compiled = try Compiler.run(
            ["protoc", "-I\(Plugin.golden.path)", "-I\(Compiler.repository)/Proto", "-I/usr/include"]
                + ["--c_out=\(output.path)"] + files
        )
        try #require(compiled.status == 0, "\(compiled.messages)")
    }

    @Test(arguments: ["src/example.c", "src/example_types.c"])
    func aSourceCompilesWithoutAWarning(source: String) throws {
        let client = "\(Compiler.repository)/Clients/C"
        let compiled = try Compiler.run(
            ["cc", "-std=c11", "-fsyntax-only", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
                + ["-I\(output.path)", "-I\(output.path)/include", "-I\(client)/src"]
                + ["-I\(client)/include", "-I\(client)/generated/include", output.file(source)]
        )
        #expect(compiled.status == 0, "\(compiled.messages)")
    }

    @Test(arguments: ["include/diskdelta/example.h", "include/diskdelta/example_types.h"])
    func aPublicHeaderNeedsNothingOfProtobuf(header: String) throws {
        let content = try String(contentsOfFile: output.file(header), encoding: .utf8)
        #expect(content.contains("typedef struct"))
        #expect(!content.lowercased().contains("protobuf"))
        #expect(!content.contains(".pb-c.h"))
    }
}

/// The programs that compile what was generated.
private enum Compiler {
    static let absence: Comment = "cc or protoc-gen-c is not there"

    static let isPresent: Bool =
        (try? run(["sh", "-c", "command -v cc && command -v protoc-gen-c"]).status) == 0

    static let repository: String = URL(filePath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().appending(path: "../../../../..").standardized.path

    /// Runs a program; gives its exit status and what it said on standard error.
    static func run(_ arguments: [String]) throws -> (status: Int32, messages: String) {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = arguments
        let pipe = Pipe()
        process.standardError = pipe
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        let messages = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (process.terminationStatus, messages)
    }
}

import Foundation
import TestSupport
import Testing

/// `diskdelta` as a process, the way a script runs it.
enum Program {
    typealias Outcome = BuiltProgram.Outcome
    typealias Failure = BuiltProgram.Failure

    static let program = BuiltProgram("diskdelta")
    static var isBuilt: Bool { program.isBuilt }

    /// What a test that is skipped says.
    static var absence: String { program.absence }

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
        try program.run(arguments, environment: environment, in: folder)
    }

    /// Runs the program, which must refuse what it is told: exit code 2, nothing on standard output, a line on standard error.
    static func expectUsage(
        _ arguments: [String],
        environment: [String: String] = [:],
        in folder: TemporaryFolder,
        sourceLocation: SourceLocation
    ) throws {
        let outcome = try Program.run(arguments, environment: environment, in: folder)
        #expect(outcome.status == 2, "\(arguments)", sourceLocation: sourceLocation)
        #expect(outcome.output == "", "\(arguments)", sourceLocation: sourceLocation)
        #expect(outcome.error.hasPrefix("diskdelta: "), "\(arguments)", sourceLocation: sourceLocation)
        #expect(outcome.error.filter { $0 == "\n" }.count == 1, "\(outcome.error)", sourceLocation: sourceLocation)
    }

    /// The program, ready to be run in `folder`.
    static func process(
        _ arguments: [String],
        environment: [String: String] = [:],
        in folder: TemporaryFolder
    ) throws -> Process {
        try program.process(arguments, environment: environment, in: folder)
    }

    /// A line that must be one JSON object.
    static func object(_ line: String) throws -> [String: Any] {
        guard let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any] else {
            throw Failure(description: "this is no object: \(line)")
        }
        return object
    }
}

extension BuiltProgram.Outcome {
    /// The last line of standard output as an object.
    func lastObject() throws -> [String: Any] { try Program.object(lines.last ?? "") }
}

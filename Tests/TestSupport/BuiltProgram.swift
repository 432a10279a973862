public import Foundation

/// A program as a process, the way a script runs it.
public struct BuiltProgram: Sendable {
    public struct Failure: Error, CustomStringConvertible {
        public let description: String

        public init(description: String) { self.description = description }
    }

    /// What a run left behind.
    public struct Outcome: Sendable {
        /// The exit code; the number of the signal, negative, where one ended it.
        public var status: Int32
        public var output: String
        public var error: String

        /// The lines of standard output, each without its end.
        public var lines: [String] {
            var lines = output.components(separatedBy: "\n")
            if lines.last == "" { lines.removeLast() }
            return lines
        }

        /// A field of the last line, which must be a JSON object.
        public func lastText(_ field: String) -> String? { lastFields()?[field] as? String }

        /// As `lastText(_:)`, a number.
        public func lastNumber(_ field: String) -> UInt64? { (lastFields()?[field] as? NSNumber)?.uint64Value }

        private func lastFields() -> [String: Any]? {
            (try? JSONSerialization.jsonObject(with: Data((lines.last ?? "").utf8))) as? [String: Any]
        }
    }

    public let name: String
    /// The executable, absolute; nil where it is not there.
    public let path: String?

    /// A program of this package, which is built beside the tests.
    public init(_ name: String) {
        let tests = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        let folders = [tests, CommandLine.arguments.first ?? ""].map { ($0 as NSString).deletingLastPathComponent }
        self.init(name, candidates: folders.map { "\($0)/\(name)" } + [".build/debug/\(name)"])
    }

    /// The first of the files `candidates` that is there.
    public init(_ name: String, candidates: [String]) {
        self.name = name
        path = candidates.first { FileManager.default.isExecutableFile(atPath: $0) }
            .map { URL(fileURLWithPath: $0).path }
    }

    public var isBuilt: Bool { path != nil }

    /// What a test that is skipped says.
    public var absence: String { "\(name) is not built: build everything first" }

    /// Runs the program to its end. Variables of the environment that start with DISKDELTA are only those given.
    ///
    /// - Parameter seconds: how long it may take before it is killed.
    public func run(
        _ arguments: [String],
        environment: [String: String] = [:],
        in folder: TemporaryFolder,
        seconds: Double = 60
    ) throws -> Outcome {
        let running = try start(arguments, environment: environment, in: folder)
        guard running.wait(seconds: seconds) else {
            running.kill()
            throw Failure(description: "\(name) \(arguments) did not end within \(seconds) s: \(try running.outcome())")
        }
        return try running.outcome()
    }

    /// Starts the program in `folder`, without input unless some is given.
    public func start(
        _ arguments: [String],
        environment: [String: String] = [:],
        input: FileHandle = .nullDevice,
        in folder: TemporaryFolder
    ) throws -> RunningProgram {
        let process = try process(arguments, environment: environment, in: folder)
        process.standardInput = input
        return try RunningProgram(process)
    }

    /// The program, ready to be run in `folder`.
    public func process(
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
}

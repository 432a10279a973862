internal import Foundation
internal import Glibc

/// A process under way. What it prints goes to files, so that nobody has to read while it runs.
public final class RunningProgram: @unchecked Sendable {
    private let process: Process
    private let output: URL
    private let error: URL
    private let ended = DispatchSemaphore(value: 0)

    init(_ process: Process) throws {
        self.process = process
        let folder = FileManager.default.temporaryDirectory
        output = folder.appendingPathComponent("diskdelta-out-\(UUID().uuidString)")
        error = folder.appendingPathComponent("diskdelta-err-\(UUID().uuidString)")
        try Data().write(to: output)
        try Data().write(to: error)
        process.standardOutput = try FileHandle(forWritingTo: output)
        process.standardError = try FileHandle(forWritingTo: error)
        let ended = ended
        process.terminationHandler = { _ in ended.signal() }
        try Self.withoutBlockedSignals { try process.run() }
    }

    /// Runs `body` with no signal blocked. The threads of tests block them, and a program that is started there would too.
    private static func withoutBlockedSignals(_ body: () throws -> Void) rethrows {
        var none = sigset_t()
        var before = sigset_t()
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        try body()
    }

    deinit {
        if process.isRunning { kill() }
        try? FileManager.default.removeItem(at: output)
        try? FileManager.default.removeItem(at: error)
    }

    /// Waits for its end. False where that did not come in time.
    public func wait(seconds: Double) -> Bool {
        guard ended.wait(timeout: .now() + seconds) == .success else { return false }
        ended.signal()
        return true
    }

    public var processID: Int32 { process.processIdentifier }

    public var isRunning: Bool { process.isRunning }

    /// Asks it to end.
    public func terminate() { process.terminate() }

    /// Sends it a signal.
    public func send(_ signal: Int32) {
        _ = Glibc.kill(process.processIdentifier, signal)
    }

    /// Ends it.
    public func kill() {
        _ = Glibc.kill(process.processIdentifier, SIGKILL)
        _ = wait(seconds: 10)
    }

    /// What it has printed so far, and how it ended, 0 while it has not.
    public func outcome() throws -> BuiltProgram.Outcome {
        func text(_ file: URL) throws -> String { String(decoding: try Data(contentsOf: file), as: UTF8.self) }
        var status: Int32 = 0
        if !process.isRunning {
            status = process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus
        }
        return BuiltProgram.Outcome(status: status, output: try text(output), error: try text(error))
    }
}

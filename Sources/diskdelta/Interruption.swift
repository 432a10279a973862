internal import DiskDeltaProtocol
internal import Dispatch
internal import Foundation

/// Turns the interrupt signal (Ctrl-C) into the cancellation of what is being done, so that an answer that is cut short says
/// so in its last line.
enum Interruption {
    static func guarding(_ body: sending @escaping () async throws -> Void) async throws {
        signal(SIGINT, SIG_IGN)
        let task = Task { try await body() }
        let source = DispatchSource.makeSignalSource(signal: SIGINT, queue: .global())
        source.setEventHandler {
            // Somebody who asks twice does not want to wait, say for a pipe that nobody reads.
            if task.isCancelled { _exit(ExitStatus.interrupted) }
            task.cancel()
        }
        source.resume()
        defer { source.cancel() }
        try await task.value
    }
}

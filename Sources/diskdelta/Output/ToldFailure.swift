internal import DiskDeltaProtocol

/// A failure that standard output already tells, as far as it is to tell it.
struct ToldFailure: Error {
    /// What standard error says.
    let message: String
    let exitCode: Int32

    init(_ error: CallError) {
        self.init(error.message, exitCode: error.exitCode)
    }

    init(_ message: String, exitCode: Int32) {
        self.message = message
        self.exitCode = exitCode
    }
}

extension CallError {
    /// Whatever its reason is, a failure never looks like a complete answer.
    var exitCode: Int32 { max(ExitStatus.failure, Int32(clamping: reason.exitCode)) }
}

extension OutputFormat {
    /// Runs `body`, and prints the error line where it fails. A person reads it from standard error instead.
    ///
    /// - Parameter offset: where the window was asked to start, of a question that has one.
    func telling<Result>(
        from offset: ByteCount? = nil,
        _ body: () async throws -> Result
    ) async throws -> Result {
        do {
            return try await body()
        } catch let error as CallError {
            if self != .table {
                let output = StandardOutput()
                output.write { $0 += ErrorLine.object(error, resumeOffset: offset?.bytes ?? 0) + [UInt8(ascii: "\n")] }
                output.flush()
            }
            throw ToldFailure(error)
        }
    }
}

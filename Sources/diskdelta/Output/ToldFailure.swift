internal import DiskDeltaProtocol

/// A failure that standard output already tells, as far as it is to tell it.
struct ToldFailure: Error {
    let error: CallError

    init(_ error: CallError) {
        self.error = error
    }
}

extension OutputFormat {
    /// Runs `body`, and prints the error line where it fails. A person reads it from standard error instead.
    func telling<Result>(_ body: () async throws -> Result) async throws -> Result {
        do {
            return try await body()
        } catch let error as CallError {
            if self != .table {
                let output = StandardOutput()
                output.write { $0 += ErrorLine.object(error) + [UInt8(ascii: "\n")] }
                output.flush()
            }
            throw ToldFailure(error)
        }
    }
}

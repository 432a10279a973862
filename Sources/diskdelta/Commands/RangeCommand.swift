internal import DiskDeltaClient
internal import DiskDeltaProtocol

/// What the commands that print ranges have in common.
enum RangeCommand {
    static func run(
        _ connection: ConnectionOptions,
        _ format: OutputFormat,
        window: WindowOptions,
        ask: (DiskDeltaClient, CallOptions) async throws -> RangeStream
    ) async throws {
        let output = StandardOutput()
        let printer = format.rangePrinter(to: output, windowStart: window.offset?.bytes ?? 0)
        defer { output.flush() }
        do {
            try window.checkGranularity()
            try await connection.withClient { client, options in
                let stream = try await ask(client, options())
                printer.print(header: stream.header)
                for try await batch in stream {
                    printer.print(batch: batch)
                }
                guard let totals = await stream.totals else {
                    throw CallError(.internal, "The answer ended, and its totals are missing")
                }
                printer.print(end: totals, of: stream.header)
            }
        } catch let error as CallError {
            printer.print(failure: error)
            throw ToldFailure(error)
        }
    }
}

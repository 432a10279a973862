internal import DiskDeltaClient
internal import DiskDeltaProtocol

/// What the commands that print ranges have in common.
enum RangeCommand {
    /// - Parameter offset: where the window was asked to start.
    static func run(
        _ connection: ConnectionOptions,
        _ format: OutputFormat,
        from offset: ByteCount?,
        ask: (DiskDeltaClient, CallOptions) async throws -> RangeStream
    ) async throws {
        let output = StandardOutput()
        let printer = format.rangePrinter(to: output, windowStart: offset?.bytes ?? 0)
        defer { output.flush() }
        do {
            try await connection.withClient { client, options in
                try await print(try await ask(client, options()), by: printer)
            }
        } catch let error as CallError {
            printer.print(failure: error)
            throw ToldFailure(error)
        }
    }

    /// Prints an answer as it arrives, all but its failure.
    static func print(_ stream: RangeStream, by printer: any RangePrinter) async throws {
        printer.print(header: stream.header)
        HeaderNotes.tell(stream.header)
        for try await batch in stream {
            printer.print(batch: batch)
        }
        guard let totals = await stream.totals else {
            throw CallError(.internal, "The answer ended, and its totals are missing")
        }
        printer.print(end: totals)
    }
}

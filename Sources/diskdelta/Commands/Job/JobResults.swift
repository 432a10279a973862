internal import ArgumentParser
internal import DiskDeltaClient
internal import DiskDeltaProtocol

struct JobResults: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "results",
        abstract: "Print the answer of a job that is completed, in the lines of changes."
    )

    @ParentCommand var command: JobCommand
    @OptionGroup var output: FormatOptions
    @OptionGroup var job: JobArgument

    @Option(help: "Where to begin, inside the window of the job; by default at its start.")
    var offset: ByteCount?

    func run() async throws {
        try command.requireServer()
        let request = JobResultsRequest(id: job.id, byteOffset: offset?.bytes ?? 0)
        try await RangeCommand.run(command.program.connection, output.format, from: offset) { client, options in
            try await client.jobResults(request, options: options)
        }
    }
}

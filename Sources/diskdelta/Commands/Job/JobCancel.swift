internal import ArgumentParser
internal import DiskDeltaClient
internal import DiskDeltaProtocol

struct JobCancel: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel",
        abstract: "Stop a job; one that has ended stays as it is."
    )

    @ParentCommand var command: JobCommand
    @OptionGroup var output: FormatOptions
    @OptionGroup var job: JobArgument

    func run() async throws {
        try await command.printJob(output) { client, options in
            try await client.jobs.cancelJob(job.request, options: options())
        }
    }
}

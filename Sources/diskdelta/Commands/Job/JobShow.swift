internal import ArgumentParser
internal import DiskDeltaClient
internal import DiskDeltaProtocol

struct JobShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "show", abstract: "Say how far a job has come.")

    @ParentCommand var command: JobCommand
    @OptionGroup var output: FormatOptions
    @OptionGroup var job: JobArgument

    func run() async throws {
        try await command.printJob(output) { client, options in
            try await client.jobs.getJob(job.request, options: options())
        }
    }
}

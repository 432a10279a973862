internal import ArgumentParser
internal import DiskDeltaClient
internal import DiskDeltaProtocol

struct JobDelete: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete",
        abstract: "Forget a job that has ended, and its answer; print what it was."
    )

    @ParentCommand var command: JobCommand
    @OptionGroup var output: FormatOptions
    @OptionGroup var job: JobArgument

    func run() async throws {
        try await command.printJob(output) { client, options in
            // Afterwards nobody can tell what it was.
            let last = try await client.jobs.getJob(job.request, options: options())
            _ = try await client.jobs.deleteJob(job.request, options: options())
            return last
        }
    }
}

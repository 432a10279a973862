internal import ArgumentParser
internal import DiskDeltaClient
internal import DiskDeltaProtocol

struct JobWait: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "wait",
        abstract: "Wait until a job has ended; a job that failed fails this command in the same way."
    )

    @ParentCommand var command: JobCommand
    @OptionGroup var output: FormatOptions
    @OptionGroup var job: JobArgument

    func run() async throws {
        try await command.printJob(output) { client, options in
            let ended = try await client.endOfJob(job.id, options: options())
            if let failure = ended.failure { throw failure }
            return ended
        }
    }
}

internal import ArgumentParser
internal import DiskDeltaClient
internal import DiskDeltaProtocol

struct JobStart: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "start",
        abstract: "Start the question of changes as a job."
    )

    @ParentCommand var command: JobCommand
    @OptionGroup var window: WindowOptions
    @OptionGroup var output: FormatOptions

    @Argument(help: "The disk to ask about.")
    var disk: String

    @Option(help: "The baseline, as info prints it: a LimitId.")
    var since: String

    @Option(help: "The point up to which changes are asked, as info prints it; by default now.")
    var target: String?

    func run() async throws {
        try await command.printJob(output, from: window.offset) { client, options in
            try window.checkGranularity()
            let request = GetVirtualDiskChangesRequest(disk: disk, since: since, target: target, window)
            return try await client.jobs.startGetVirtualDiskChanges(request, options: options())
        }
    }
}

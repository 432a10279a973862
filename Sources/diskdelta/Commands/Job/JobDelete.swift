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
            let last = try await last(client, options())
            _ = try await client.jobs.deleteJob(job.request, options: options())
            return last
        }
    }

    /// The job as it is before it goes. One whose record is damaged is deleted too; of it there is only told that it is.
    private func last(_ client: DiskDeltaClient, _ options: CallOptions) async throws(CallError) -> Job {
        do throws(CallError) {
            return try await client.jobs.getJob(job.request, options: options)
        } catch {
            guard error.reason == .internal else { throw error }
            return Job(
                id: job.request.id,
                jobState: .exception,
                errorCode: error.reason.returnValue,
                errorDescription: error.message,
                returnValue: error.reason.returnValue,
                reason: error.reason
            )
        }
    }
}

internal import ArgumentParser
internal import DiskDeltaClient
internal import DiskDeltaProtocol

/// The commands about jobs: questions that a server answers by itself, whether or not anybody is connected.
struct JobCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "job",
        abstract: "Start questions that a server answers by itself, and fetch their answers.",
        subcommands: [
            JobStart.self, JobList.self, JobShow.self, JobWait.self, JobResults.self, JobCancel.self, JobDelete.self,
        ]
    )

    @ParentCommand var program: DiskDelta

    /// Throws where no server is named.
    func requireServer() throws {
        guard try program.connection.access() != nil else {
            throw ValidationError("jobs are kept by a server: name one with --server or DISKDELTA_SERVER")
        }
    }

    /// Asks the server for a job, and prints it.
    func printJob(
        _ output: FormatOptions,
        from offset: ByteCount? = nil,
        _ ask: (DiskDeltaClient, () -> CallOptions) async throws -> Job
    ) async throws {
        try requireServer()
        try await output.format.telling(from: offset) {
            let description = JobDescription(job: try await program.connection.withClient(ask))
            let standardOutput = StandardOutput()
            switch output.format {
            case .ndjson, .json: standardOutput.write { $0 += description.object + [UInt8(ascii: "\n")] }
            case .table: standardOutput.write(description.table)
            }
            standardOutput.flush()
        }
    }
}

/// What names a job.
struct JobArgument: ParsableArguments {
    @Argument(help: "The id of the job, as start and list print it.")
    var id: String

    var request: JobRequest { JobRequest(id: id) }
}

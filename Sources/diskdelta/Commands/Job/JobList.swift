internal import ArgumentParser
internal import DiskDeltaClient
internal import DiskDeltaProtocol

struct JobList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the jobs that you may see, the newest first."
    )

    @ParentCommand var command: JobCommand
    @OptionGroup var output: FormatOptions

    func run() async throws {
        try command.requireServer()
        try await output.format.telling { try await answer() }
    }

    private func answer() async throws {
        let jobs = try await command.program.connection.withClient { client, options in
            try await client.jobs.listJobs(ListJobsRequest(), options: options()).jobs.map(JobDescription.init)
        }
        let standardOutput = StandardOutput()
        switch output.format {
        case .ndjson:
            for job in jobs { standardOutput.write { $0 += job.object + [UInt8(ascii: "\n")] } }
        case .json:
            let document = JSONWriter.object { line in
                line.field("type", "jobs")
                line.field("jobs", objects: jobs) { line, job in job.write(to: &line) }
            }
            standardOutput.write { $0 += document + [UInt8(ascii: "\n")] }
        case .table:
            standardOutput.write(jobs.isEmpty ? "no jobs\n" : jobs.map { $0.row + "\n" }.joined())
        }
        standardOutput.flush()
    }
}

internal import ArgumentParser
internal import DiskDeltaClient
internal import DiskDeltaProtocol

struct Check: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Say whether the server is there, healthy, and lets you in; its version and its limits."
    )

    @ParentCommand var program: DiskDelta
    @OptionGroup var output: FormatOptions

    func run() async throws {
        try await output.format.telling { try await answer() }
    }

    private func answer() async throws {
        guard let access = try program.connection.access() else {
            throw ValidationError("check asks a server: name one with --server or DISKDELTA_SERVER")
        }
        let (health, server) = try await program.connection.withClient { client, options in
            let health = try await client.health.check(HealthCheckRequest(), options: options())
            let server = try await client.server.getServerInfo(GetServerInfoRequest(), options: options())
            return (health, server)
        }
        let isHealthy = health.status == .serving
        let limits = server.limits ?? ServerLimits()
        let standardOutput = StandardOutput()
        switch output.format {
        case .ndjson, .json:
            let object = JSONWriter.object { line in
                line.field("type", "check")
                line.field("schema", 1)
                line.field("server", access.address)
                line.field("version", server.version)
                line.field("healthy", isHealthy)
                line.field("identity", server.identity)
                line.field("formats", strings: server.formats.map(\.word))
                line.field(
                    "limits",
                    json: JSONWriter.object { line in
                        line.field("max_frame_size", limits.maxFrameSize)
                        line.field("max_request_size", limits.maxRequestSize)
                        line.field("max_streams", limits.maxStreams)
                        // Of these 0 says that the server does not do it, or has no limit of its own.
                        for (name, value) in further(limits) where value > 0 { line.field(name, value) }
                    }
                )
            }
            standardOutput.write { $0 += object + [UInt8(ascii: "\n")] }
        case .table:
            standardOutput.write(
                """
                server    \(access.address)
                version   \(server.version)
                healthy   \(isHealthy ? "yes" : "no")
                identity  \(server.identity.isEmpty ? "(the server does not ask)" : server.identity)
                formats   \(server.formats.map(\.word).joined(separator: ", "))
                limits    \(limits.maxStreams) streams on a connection, frames of \(UInt64(limits.maxFrameSize).asSize), \
                requests of \(UInt64(limits.maxRequestSize).asSize)\(furtherWords(limits))

                """
            )
        }
        standardOutput.flush()
        guard isHealthy else {
            throw CallError(.serverUnavailable, "The server is there and says that it does not serve")
        }
    }

    private func further(_ limits: ServerLimits) -> [(name: String, value: UInt64)] {
        [
            ("max_calls_per_identity", UInt64(limits.maxCallsPerIdentity)),
            ("max_batch_disks", UInt64(limits.maxBatchDisks)),
            ("max_jobs_per_identity", UInt64(limits.maxJobsPerIdentity)), ("job_retention", limits.jobRetention),
        ]
    }

    private func furtherWords(_ limits: ServerLimits) -> String {
        var words = ""
        if limits.maxCallsPerIdentity > 0 { words += ", \(limits.maxCallsPerIdentity) calls for each identity" }
        if limits.maxBatchDisks > 0 { words += ", \(limits.maxBatchDisks) disks in one question" }
        if limits.maxJobsPerIdentity > 0 {
            words += ", \(limits.maxJobsPerIdentity) jobs for each identity, kept for \(limits.jobRetention) s"
        }
        return words
    }
}

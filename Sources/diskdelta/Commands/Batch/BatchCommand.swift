internal import DiskDeltaClient
internal import DiskDeltaProtocol

/// `changes --batch`: asks about the disks of a file.
enum BatchCommand {
    /// - Parameter file: `-` for standard input.
    static func run(
        _ connection: ConnectionOptions,
        _ format: OutputFormat,
        _ window: WindowOptions,
        file: String
    ) async throws {
        // All of it is judged before anything is asked.
        let questions = try BatchFile.questions(in: file)
        let isEmbedded = try connection.access() == nil
        let output = StandardOutput()
        defer { output.flush() }
        let report = BatchReport(questions, as: format, to: output, windowStart: window.offset?.bytes ?? 0)
        let requests = questions.map { question -> GetVirtualDiskChangesRequest in
            var request = GetVirtualDiskChangesRequest(
                disk: question.disk,
                since: question.since,
                target: question.target,
                window
            )
            request.imageFormat = question.imageFormat?.onTheWire ?? .unknown
            request.ifSize = question.ifSize
            return request
        }
        do {
            try window.checkGranularity()
            try await connection.withClient { client, options in
                switch format {
                case .ndjson:
                    let limits = isEmbedded ? ServerLimits() : try await limits(of: client, options())
                    for part in BatchParts(questions, limits: limits) {
                        await askTogether(part, requests, client, options(), report)
                    }
                case .json, .table:
                    // What is printed disk by disk is asked disk by disk: nothing has to be kept.
                    for disk in requests.indices {
                        await ask(disk, requests[disk], client, options(), report)
                    }
                }
            }
        } catch let error as CallError {
            for disk in report.open { report.fail(disk, error) }
        }
        try report.finish()
    }

    /// What the server takes; nothing said where it is one that cannot tell.
    private static func limits(
        of client: DiskDeltaClient,
        _ options: CallOptions
    ) async throws(CallError) -> ServerLimits {
        do throws(CallError) {
            let server = try await client.server.getServerInfo(GetServerInfoRequest(), options: options)
            return server.limits ?? ServerLimits()
        } catch {
            guard error.reason == .unsupported else { throw error }
            return ServerLimits()
        }
    }

    /// Asks about some of the disks in one call, and prints what is told of each as it comes.
    private static func askTogether(
        _ part: [Int],
        _ requests: [GetVirtualDiskChangesRequest],
        _ client: DiskDeltaClient,
        _ options: CallOptions,
        _ report: BatchReport
    ) async {
        do throws(CallError) {
            for try await message in try await client.changes(ofMany: part.map { requests[$0] }, options: options) {
                let disk = part[message.disk]
                switch message.content {
                case .header(let header): report.begin(disk, header)
                case .batch(let batch): report.printer(of: disk).print(batch: batch)
                case .end(.success(let totals)): report.complete(disk, totals)
                case .end(.failure(let error)): report.fail(disk, error)
                }
            }
        } catch {
            // Once the answer has begun, each disk was told by itself.
            let open = Set(report.open)
            for disk in part where open.contains(disk) { report.fail(disk, error) }
        }
    }

    /// Asks about one disk, and prints its answer.
    private static func ask(
        _ disk: Int,
        _ request: GetVirtualDiskChangesRequest,
        _ client: DiskDeltaClient,
        _ options: CallOptions,
        _ report: BatchReport
    ) async {
        do throws(CallError) {
            let stream = try await client.changes(request, options: options)
            report.begin(disk, stream.header)
            for try await batch in stream { report.printer(of: disk).print(batch: batch) }
            guard let totals = await stream.totals else {
                throw CallError(.internal, "The answer ended, and its totals are missing")
            }
            report.complete(disk, totals)
        } catch {
            report.fail(disk, error)
        }
    }
}

internal import ArgumentParser
internal import DiskDeltaClient
internal import DiskDeltaProtocol

struct Summary: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Say how much changed since a baseline; without --since, how much of the disk holds data."
    )

    @ParentCommand var program: DiskDelta
    @OptionGroup var window: WindowOptions
    @OptionGroup var output: FormatOptions

    @Argument(help: "The disk to ask about.")
    var disk: String

    @Option(help: "The baseline, as info prints it: a LimitId. Without it the answer is about what is allocated.")
    var since: String?

    @Option(help: "The point up to which changes are asked, as info prints it; by default now.")
    var target: String?

    func validate() throws {
        guard since != nil || target == nil else {
            throw ValidationError("--target is where changes end: say with --since where they begin")
        }
    }

    func run() async throws {
        try await output.format.telling(from: window.offset) { try await answer() }
    }

    private func answer() async throws {
        try window.checkGranularity()
        let summary = try await program.connection.withClient { client, options in
            guard let since else {
                return try await client.allocationSummary(
                    GetVirtualDiskAllocationRequest(disk: disk, window),
                    options: options()
                )
            }
            return try await client.changesSummary(
                GetVirtualDiskChangesRequest(disk: disk, since: since, target: target, window),
                options: options()
            )
        }
        let header = summary.header ?? AnswerHeader()
        HeaderNotes.tell(header)
        let standardOutput = StandardOutput()
        switch output.format {
        case .ndjson, .json: standardOutput.write { $0 += object(summary, header) + [UInt8(ascii: "\n")] }
        case .table: standardOutput.write(table(summary, header))
        }
        standardOutput.flush()
    }

    private func object(_ summary: ChangesSummary, _ header: AnswerHeader) -> [UInt8] {
        JSONWriter.object { line in
            line.field("type", "summary")
            line.field("schema", 1)
            line.field("disk", header.disk)
            line.field("size", header.size)
            line.field("since", header.since)
            line.field("target", header.target)
            line.field("epoch", header.epoch)
            line.field("basis", header.basis.word)
            HeaderNotes.write(header, to: &line)
            line.field("complete", true)
            line.field("ranges", summary.ranges)
            line.field("bytes", summary.bytes)
            line.field("data_bytes", summary.dataBytes)
            line.field("zero_bytes", summary.zeroBytes)
            line.field("largest", summary.largest)
            line.field("granularity", header.granularity)
        }
    }

    private func table(_ summary: ChangesSummary, _ header: AnswerHeader) -> String {
        var lines = ["disk         \(header.disk)", "size         \(header.size.asSize)"]
        if !header.since.isEmpty { lines.append("since        \(header.since)") }
        if !header.target.isEmpty { lines.append("target       \(header.target)") }
        lines += [
            "basis        \(header.basis.word)"
                + (header.isFallback ? ", because: \(header.basisReason.name): \(header.basisMessage)" : "")
        ]
        lines += HeaderNotes.lines(header)
        lines += [
            "granularity  \(header.granularity.asSize)",
            "ranges       \(summary.ranges), the largest \(summary.largest.asSize)",
            "bytes        \(summary.bytes.asSize) (\(summary.dataBytes.asSize) data, \(summary.zeroBytes.asSize) zero)"
                + " of \(header.windowLength.asSize) asked about",
        ]
        return lines.joined(separator: "\n") + "\n"
    }
}

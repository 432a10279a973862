internal import ArgumentParser
internal import DiskDeltaClient
internal import DiskDeltaProtocol

struct Changes: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List the ranges that changed since a baseline.")

    @ParentCommand var program: DiskDelta
    @OptionGroup var window: WindowOptions
    @OptionGroup var output: FormatOptions

    @Argument(help: "The disk to ask about.")
    var disk: String

    @Option(help: "The baseline, as info prints it: a LimitId.")
    var since: String

    @Option(help: "The point up to which changes are asked, as info prints it; by default now.")
    var target: String?

    func run() async throws {
        let request = GetVirtualDiskChangesRequest(
            path: disk,
            limitID: since,
            targetSnapshotID: target ?? "",
            byteOffset: window.offset?.bytes ?? 0,
            byteLength: window.length?.bytes,
            granularity: window.granularity?.bytes ?? 0,
            ifEpoch: window.ifEpoch ?? ""
        )
        try await RangeCommand.run(program.connection, output.format, window: window) { client, options in
            try await client.changes(request, options: options)
        }
    }
}

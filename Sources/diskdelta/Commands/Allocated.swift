internal import ArgumentParser
internal import DiskDeltaClient
internal import DiskDeltaProtocol

struct Allocated: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List the ranges that hold data: what a first full backup must read."
    )

    @ParentCommand var program: DiskDelta
    @OptionGroup var window: WindowOptions
    @OptionGroup var output: FormatOptions

    @Argument(help: "The disk to ask about.")
    var disk: String

    func run() async throws {
        let request = GetVirtualDiskAllocationRequest(
            path: disk,
            byteOffset: window.offset?.bytes ?? 0,
            byteLength: window.length?.bytes,
            granularity: window.granularity?.bytes ?? 0,
            ifEpoch: window.ifEpoch ?? ""
        )
        try await RangeCommand.run(program.connection, output.format, window: window) { client, options in
            try await client.allocation(request, options: options)
        }
    }
}

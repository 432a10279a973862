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
        try await RangeCommand.run(program.connection, output.format, from: window.offset) { client, options in
            try window.checkGranularity()
            return try await client.allocation(GetVirtualDiskAllocationRequest(disk: disk, window), options: options)
        }
    }
}

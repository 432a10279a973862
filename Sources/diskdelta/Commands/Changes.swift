internal import ArgumentParser
internal import DiskDeltaClient
internal import DiskDeltaProtocol

struct Changes: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List the ranges that changed since a baseline, of one disk or of many.",
        usage: """
            diskdelta changes DISK --since ID [--target ID] [OPTIONS]
            diskdelta changes --batch FILE [OPTIONS]
            """
    )

    @ParentCommand var program: DiskDelta
    @OptionGroup var window: WindowOptions
    @OptionGroup var output: FormatOptions

    @Argument(help: "The disk to ask about.")
    var disk: String?

    @Option(help: "The baseline, as info prints it: a LimitId.")
    var since: String?

    @Option(help: "The point up to which changes are asked, as info prints it; by default now.")
    var target: String?

    @Option(
        help: """
            A file with many questions, - for standard input: on each line an object with "disk", "since" and, where wanted, \
            "target", "image_format" and "if_size".
            """
    )
    var batch: String?

    func validate() throws {
        if batch == nil {
            guard disk != nil, since != nil else {
                throw ValidationError("say which disk, and since when: DISK --since ID; or name many with --batch FILE")
            }
        } else {
            guard disk == nil, since == nil, target == nil else {
                throw ValidationError(
                    "--batch names the disks and their baselines: leave out DISK, --since and --target"
                )
            }
            guard window.ifEpoch == nil else {
                throw ValidationError("each disk has an epoch of its own: --if-epoch does not go with --batch")
            }
            guard window.ifSize == nil, window.disk.imageFormat == nil else {
                throw ValidationError(
                    "each disk has a size and a format of its own: in place of --if-size and --image-format the lines of --batch "
                        + #"have "if_size" and "image_format""#
                )
            }
        }
    }

    func run() async throws {
        if let batch {
            return try await BatchCommand.run(program.connection, output.format, window, file: batch)
        }
        let request = GetVirtualDiskChangesRequest(disk: disk ?? "", since: since ?? "", target: target, window)
        try await RangeCommand.run(program.connection, output.format, from: window.offset) { client, options in
            try window.checkGranularity()
            return try await client.changes(request, options: options)
        }
    }
}

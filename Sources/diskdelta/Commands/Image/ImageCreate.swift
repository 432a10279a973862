internal import ArgumentParser
internal import DiskImages

struct ImageCreate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Make a dynamic disk, or with --parent a differencing one."
    )

    enum Format: String, ExpressibleByArgument, CaseIterable {
        case vhdx
    }

    @ParentCommand var image: Image

    @Argument(help: "The file to make. It must not exist.")
    var path: String

    @Option(help: "The size of the virtual disk; that of the parent by default.")
    var size: ByteCount?

    @Option(name: .customLong("image-format"), help: "The format; by default that of the name's extension.")
    var format: Format?

    @Option(
        name: .customLong("block-size"),
        help: "A power of two from 1M to 256M; 32M, or 2M with --parent, by default."
    )
    var blockSize: ByteCount?

    @Option(name: .customLong("logical-sector-size"), help: "512 or 4096; that of the parent by default, else 512.")
    var logicalSectorSize: UInt32?

    @Option(help: "The disk to record the differences from.")
    var parent: String?

    func validate() throws {
        if let blockSize, UInt32(exactly: blockSize.bytes) == nil {
            throw ValidationError("--block-size must be a power of two from 1M to 256M")
        }
        if let logicalSectorSize, logicalSectorSize != 512, logicalSectorSize != 4096 {
            throw ValidationError("--logical-sector-size must be 512 or 4096")
        }
        if parent == nil, size == nil { throw ValidationError("A disk without a parent needs a --size") }
        if parent != nil, size != nil { throw ValidationError("The size of a differencing disk is its parent's") }
        if parent != nil, logicalSectorSize != nil {
            throw ValidationError("The sectors of a differencing disk are its parent's")
        }
        if format == nil, ![".vhdx", ".avhdx"].contains(where: path.lowercased().hasSuffix) {
            throw ValidationError(
                "The name does not tell the format: end it in .vhdx or .avhdx, or say --image-format vhdx"
            )
        }
    }

    func run() async throws {
        try image.validateIsLocal()
        try await OutputFormat.standard.telling {
            try LocalCommand.telling { () throws(ImageError) in try creation.create(at: path) }
        }
    }

    private var creation: VHDXCreation {
        let blockSize = blockSize.map { UInt32(clamping: $0.bytes) }
        if let parent {
            return .differencing(parent: parent, blockSize: blockSize ?? VHDXCreation.defaultDifferencingBlockSize)
        }
        return .dynamic(
            virtualSize: size?.bytes ?? 0,
            blockSize: blockSize ?? VHDXCreation.defaultDynamicBlockSize,
            logicalSectorSize: logicalSectorSize ?? 512
        )
    }
}

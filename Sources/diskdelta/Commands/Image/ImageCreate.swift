internal import ArgumentParser
internal import DiskImages

struct ImageCreate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Make a dynamic disk, or with --parent a differencing one."
    )

    /// The formats that disks can be made in.
    enum Format: String, ExpressibleByArgument, CaseIterable {
        case vhdx, vhd

        /// What the extension of a name claims.
        init?(name: String) {
            let name = name.lowercased()
            if [".vhdx", ".avhdx"].contains(where: name.hasSuffix) {
                self = .vhdx
            } else if [".vhd", ".avhd"].contains(where: name.hasSuffix) {
                self = .vhd
            } else {
                return nil
            }
        }
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
        help: """
            A power of two up to 256M: from 1M for VHDX, by default 32M, or 2M with --parent; from 512K for VHD, by default 2M.
            """
    )
    var blockSize: ByteCount?

    @Option(
        name: .customLong("logical-sector-size"),
        help: "512 or 4096, for VHD 512; that of the parent by default, else 512."
    )
    var logicalSectorSize: UInt32?

    @Option(help: "The disk to record the differences from.")
    var parent: String?

    func validate() throws {
        if let blockSize, UInt32(exactly: blockSize.bytes) == nil {
            throw ValidationError("--block-size must be a power of two of at most 256M")
        }
        if let logicalSectorSize, logicalSectorSize != 512, logicalSectorSize != 4096 {
            throw ValidationError("--logical-sector-size must be 512 or 4096")
        }
        if parent == nil, size == nil { throw ValidationError("A disk without a parent needs a --size") }
        if parent != nil, size != nil { throw ValidationError("The size of a differencing disk is its parent's") }
        if parent != nil, logicalSectorSize != nil {
            throw ValidationError("The sectors of a differencing disk are its parent's")
        }
        guard let format = chosenFormat else {
            throw ValidationError(
                "The name does not tell the format: end it in .vhdx, .avhdx, .vhd or .avhd, or say --image-format"
            )
        }
        if format == .vhd, logicalSectorSize == 4096 { throw ValidationError("The sectors of a VHD have 512 bytes") }
    }

    func run() async throws {
        try image.validateIsLocal()
        try await OutputFormat.standard.telling {
            try LocalCommand.telling { () throws(ImageError) in
                switch chosenFormat {
                case .vhd: try vhd.create(at: path)
                case .vhdx, nil: try vhdx.create(at: path)
                }
            }
        }
    }

    private var chosenFormat: Format? { format ?? Format(name: path) }

    private var vhdx: VHDXCreation {
        if let parent {
            return .differencing(
                parent: parent,
                blockSize: blockSizeInBytes ?? VHDXCreation.defaultDifferencingBlockSize
            )
        }
        return .dynamic(
            virtualSize: size?.bytes ?? 0,
            blockSize: blockSizeInBytes ?? VHDXCreation.defaultDynamicBlockSize,
            logicalSectorSize: logicalSectorSize ?? 512
        )
    }

    private var vhd: VHDCreation {
        let blockSize = blockSizeInBytes ?? VHDCreation.defaultBlockSize
        if let parent { return .differencing(parent: parent, blockSize: blockSize) }
        return .dynamic(virtualSize: size?.bytes ?? 0, blockSize: blockSize)
    }

    private var blockSizeInBytes: UInt32? { blockSize.map { UInt32(clamping: $0.bytes) } }
}

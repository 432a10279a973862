internal import ArgumentParser
internal import DiskDeltaProtocol
internal import DiskImages

/// A format that the file of a disk can be said to have.
enum DiskFormat: String, ExpressibleByArgument, CaseIterable, Decodable {
    case vhdx, vhd, qcow2, raw

    var onTheWire: ImageFormat {
        switch self {
        case .vhdx: .vhdx
        case .vhd: .vhd
        case .qcow2: .qcow2
        case .raw: .raw
        }
    }

    var ofImages: ImageDescription.Format {
        switch self {
        case .vhdx: .vhdx
        case .vhd: .vhd
        case .qcow2: .qcow2
        case .raw: .raw
        }
    }
}

/// What is said of the format of a disk's file, for the commands that open one.
struct DiskFormatOption: ParsableArguments {
    @Option(
        name: .customLong("image-format"),
        help: """
            The format of a file whose name tells none: vhdx, vhd, qcow2 or raw. With raw, a file whose name is that of a raw disk \
            is taken for one although it begins like another format.
            """
    )
    var imageFormat: DiskFormat?

    /// UNKNOWN where nothing is said.
    var onTheWire: ImageFormat { imageFormat?.onTheWire ?? .unknown }
}

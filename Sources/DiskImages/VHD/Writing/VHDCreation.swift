/// A VHD file that does not exist yet.
public struct VHDCreation: Sendable {
    public static let defaultBlockSize: UInt32 = 2 << 20
    /// Powers of two. The programs of Microsoft know 512 KiB and 2 MiB only.
    public static let blockSizes: ClosedRange<UInt32> = 512 << 10...256 << 20

    private enum Kind: Sendable {
        case fixed(virtualSize: UInt64)
        case dynamic(virtualSize: UInt64)
        case differencing(parent: String)
    }

    private let kind: Kind
    private let blockSize: UInt32

    /// A disk whose data is a file as long as the disk, all zeroes.
    ///
    /// - Parameter virtualSize: in bytes: a multiple of 512, at most 2040 GiB.
    public static func fixed(virtualSize: UInt64) -> VHDCreation {
        VHDCreation(kind: .fixed(virtualSize: virtualSize), blockSize: defaultBlockSize)
    }

    /// A disk without a parent that grows as it is written.
    ///
    /// - Parameters:
    ///   - virtualSize: in bytes: a multiple of 512, at most 2040 GiB.
    ///   - blockSize: in bytes: one of `blockSizes`.
    public static func dynamic(virtualSize: UInt64, blockSize: UInt32 = defaultBlockSize) -> VHDCreation {
        VHDCreation(kind: .dynamic(virtualSize: virtualSize), blockSize: blockSize)
    }

    /// A disk that holds what changes from now on compared with `parent`, whose size and identity it takes over.
    ///
    /// - Parameters:
    ///   - parent: the path of the parent, a VHD file of any type.
    ///   - blockSize: in bytes: one of `blockSizes`.
    public static func differencing(parent: String, blockSize: UInt32 = defaultBlockSize) -> VHDCreation {
        VHDCreation(kind: .differencing(parent: parent), blockSize: blockSize)
    }

    /// Makes the file. Where this fails there is no file, and a file that was there before is untouched.
    ///
    /// - Parameters:
    ///   - path: relative to the process's working directory.
    ///   - isDurable: whether to wait until the medium has the file.
    /// - Throws: `alreadyExists`, `invalidParameter`, `fileNotFound` where the folder does not exist, `accessDenied`,
    ///   `writeFailed`; and what opening the parent throws.
    public func create(at path: String, isDurable: Bool = true) throws(ImageError) {
        try NewImageFile.checkName(path, isThatOf: .vhd, "a VHD file")
        guard Self.blockSizes.contains(blockSize), blockSize.nonzeroBitCount == 1 else {
            throw ImageError(
                .invalidParameter,
                "The block size must be a power of two from 512 KiB to 256 MiB, not \(blockSize) bytes.",
                path: path
            )
        }
        let layout = try layout(of: path)
        try NewImageFile.create(path, isDurable: isDurable) { (storage) throws(ImageError) in
            try layout.write(to: storage, path: path)
        }
    }

    private func layout(of path: String) throws(ImageError) -> VHDLayout {
        switch kind {
        case .fixed(let virtualSize):
            let size = try Self.checked(virtualSize, path: path)
            return VHDLayout(type: .fixed, virtualSize: size, blockSize: blockSize)
        case .dynamic(let virtualSize):
            let size = try Self.checked(virtualSize, path: path)
            return VHDLayout(type: .dynamic, virtualSize: size, blockSize: blockSize)
        case .differencing(let parent):
            try NewImageFile.checkIsFree(path)
            let image = try LocalFiles().open(parent).openImage(in: LocalFiles())
            guard image is VHDImage else {
                throw ImageError(.unsupported, "The parent of a VHD file must be a VHD file.", path: parent)
            }
            guard let identifier = image.description.identifier else {
                throw ImageError(
                    .unsupported,
                    "The parent has no identity by which a child could know it.",
                    path: parent
                )
            }
            let relativePath = try RelativeWindowsPath.from(folderOf: path, to: parent)
            return VHDLayout(
                type: .differencing,
                virtualSize: image.description.virtualSize,
                blockSize: blockSize,
                parent: VHDParentRecord(
                    identifier: identifier,
                    name: PathParts.windowsComponents(of: relativePath).last ?? "",
                    relativePath: relativePath
                )
            )
        }
    }

    private static func checked(_ size: UInt64, path: String) throws(ImageError) -> UInt64 {
        guard size > 0, size <= VHDFormat.maximumVirtualSize, size % VHDFormat.sectorSize == 0 else {
            throw ImageError(
                .invalidParameter,
                "The size must be a multiple of 512 bytes and at most 2040 GiB, not \(size) bytes.",
                path: path
            )
        }
        return size
    }
}

/// A VHDX file that does not exist yet.
///
/// The new file has an empty log of 1 MiB, the metadata, and a block allocation table in which no block is present.
public struct VHDXCreation: Sendable {
    public static let defaultDynamicBlockSize: UInt32 = 32 << 20
    public static let defaultDifferencingBlockSize: UInt32 = 2 << 20

    private enum Kind: Sendable {
        case dynamic(virtualSize: UInt64, logicalSectorSize: UInt32)
        case differencing(parent: String, virtualSize: UInt64?)
    }

    private let kind: Kind
    private let blockSize: UInt32

    /// A disk without a parent that grows as it is written.
    ///
    /// - Parameters:
    ///   - virtualSize: in bytes: a multiple of the logical sector, at most 64 TiB.
    ///   - blockSize: in bytes: a power of two from 1 MiB to 256 MiB.
    ///   - logicalSectorSize: in bytes: 512 or 4096.
    public static func dynamic(
        virtualSize: UInt64,
        blockSize: UInt32 = defaultDynamicBlockSize,
        logicalSectorSize: UInt32 = 512
    ) -> VHDXCreation {
        let kind = Kind.dynamic(virtualSize: virtualSize, logicalSectorSize: logicalSectorSize)
        return VHDXCreation(kind: kind, blockSize: blockSize)
    }

    /// A disk that holds what changes from now on compared with `parent`, whose sector sizes and identity it takes over.
    ///
    /// - Parameters:
    ///   - parent: the path of the parent, a VHDX file.
    ///   - virtualSize: in bytes; nil for the parent's.
    ///   - blockSize: in bytes: a power of two from 1 MiB to 256 MiB.
    public static func differencing(
        parent: String,
        virtualSize: UInt64? = nil,
        blockSize: UInt32 = defaultDifferencingBlockSize
    ) -> VHDXCreation {
        VHDXCreation(kind: .differencing(parent: parent, virtualSize: virtualSize), blockSize: blockSize)
    }

    /// Makes the file. Where this fails there is no file, and a file that was there before is untouched.
    ///
    /// - Parameters:
    ///   - path: relative to the process's working directory.
    ///   - isDurable: whether to wait until the medium has the file.
    /// - Throws: `alreadyExists`, `invalidParameter`, `fileNotFound` where the folder does not exist, `accessDenied`,
    ///   `writeFailed`; and what opening the parent throws.
    public func create(at path: String, isDurable: Bool = true) throws(ImageError) {
        try NewImageFile.checkName(path, isThatOf: .vhdx, "a VHDX file")
        guard VHDXFormat.blockSizes.contains(blockSize), blockSize.nonzeroBitCount == 1 else {
            throw ImageError(
                .invalidParameter,
                "The block size must be a power of two from 1 MiB to 256 MiB, not \(blockSize) bytes.",
                path: path
            )
        }
        let layout = try layout(of: path)
        try NewImageFile.create(path, isDurable: isDurable) { (storage) throws(ImageError) in
            try layout.write(to: storage)
        }
    }

    private func layout(of path: String) throws(ImageError) -> VHDXLayout {
        switch kind {
        case .dynamic(let virtualSize, let logicalSectorSize):
            guard logicalSectorSize == 512 || logicalSectorSize == 4_096 else {
                throw ImageError(
                    .invalidParameter,
                    "The logical sector must have 512 or 4096 bytes, not \(logicalSectorSize).",
                    path: path
                )
            }
            return VHDXLayout(
                blockSize: blockSize,
                virtualSize: try Self.checked(virtualSize, sectorSize: logicalSectorSize, path: path),
                virtualDiskID: .random(),
                logicalSectorSize: logicalSectorSize,
                physicalSectorSize: 4_096
            )
        case .differencing(let parent, let virtualSize):
            try NewImageFile.checkIsFree(path)
            guard let image = try LocalFiles().open(parent).openImage(in: LocalFiles()) as? VHDXImage else {
                throw ImageError(.unsupported, "The parent of a VHDX file must be a VHDX file.", path: parent)
            }
            let metadata = image.structure.metadata
            let size = virtualSize ?? metadata.virtualSize
            var layout = VHDXLayout(
                blockSize: blockSize,
                virtualSize: try Self.checked(size, sectorSize: metadata.logicalSectorSize, path: path),
                virtualDiskID: metadata.virtualDiskID,
                logicalSectorSize: metadata.logicalSectorSize,
                physicalSectorSize: metadata.physicalSectorSize
            )
            layout.parentLocator = VHDXParentLocator.encoded([
                ("parent_linkage", image.structure.current.header.dataWriteGUID.description),
                ("relative_path", try RelativeWindowsPath.from(folderOf: path, to: parent)),
            ])
            layout.inheritedItems = try image.inheritableItems()
            return layout
        }
    }

    private static func checked(_ size: UInt64, sectorSize: UInt32, path: String) throws(ImageError) -> UInt64 {
        guard size > 0, size <= VHDXFormat.maximumVirtualSize, size % UInt64(sectorSize) == 0 else {
            throw ImageError(
                .invalidParameter,
                "The size must be a multiple of \(sectorSize) bytes and at most 64 TiB, not \(size) bytes.",
                path: path
            )
        }
        return size
    }
}

extension VHDXImage {
    private static let maximumInheritedLength: UInt64 = 16 << 20
    private static let maximumInheritedCount =
        Int(VHDXMetadataTable.maximumEntryCount) - VHDXMetadataTable.knownIDs.count

    /// The items that a child takes over from its parent beside the known ones ([MS-VHDX] 2.6.1.2, IsVirtualDisk).
    fileprivate func inheritableItems() throws(ImageError) -> [VHDXMetadataItem] {
        let region = structure.regions.metadata
        let table = try VHDXMetadataTable.read(from: structure.file, region: region)
        var items: [VHDXMetadataItem] = []
        var length: UInt64 = 0
        for entry in table.entries where entry.isVirtualDisk {
            guard entry.isUser || !VHDXMetadataTable.knownIDs.contains(entry.id) else { continue }
            length += UInt64(entry.length)
            guard length <= Self.maximumInheritedLength, items.count < Self.maximumInheritedCount else {
                throw file.error(.resourceLimit, "The parent has too much metadata to be copied into a child.")
            }
            items.append(
                VHDXMetadataItem(
                    id: entry.id,
                    isUser: entry.isUser,
                    isVirtualDisk: true,
                    isRequired: entry.isRequired,
                    content: try structure.file.bytes(
                        at: region.offset + UInt64(entry.offset),
                        count: Int(entry.length)
                    )
                )
            )
        }
        return items
    }
}

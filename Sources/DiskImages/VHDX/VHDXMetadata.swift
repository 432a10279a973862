internal import ByteReading

/// What the metadata items say ([MS-VHDX] 2.6.2), checked against each other.
struct VHDXMetadata {
    var blockSize: UInt32
    /// Blocks stay allocated: a fixed disk, unless it has a parent.
    var leavesBlocksAllocated: Bool
    var hasParent: Bool
    var virtualSize: UInt64
    var virtualDiskID: GUID
    var logicalSectorSize: UInt32
    var physicalSectorSize: UInt32
    /// Where the parent is; only for a differencing disk.
    var parent: ParentReference?

    /// - Throws: `corrupt`, `unsupported`.
    static func read(from file: ReplayedFile, region: VHDXRegionTable.Entry) throws(ImageError) -> VHDXMetadata {
        let table = try VHDXMetadataTable.read(from: file, region: region)
        let items = Items(file: file, region: region, table: table)

        let parameters = try items.read("file parameters", VHDXMetadataTable.fileParametersID, length: 8)
        let blockSize = try items.number(UInt32.self, in: parameters.bytes, at: 0)
        let flags = try items.number(UInt32.self, in: parameters.bytes, at: 4)
        guard VHDXFormat.blockSizes.contains(blockSize), blockSize.nonzeroBitCount == 1 else {
            throw file.corrupt("\(blockSize) bytes is not a block size that VHDX has.", at: parameters.offset)
        }
        guard flags & ~3 == 0 else {
            throw file.error(
                .unsupported,
                "The file parameters have flags that this program does not know.",
                at: parameters.offset + 4
            )
        }

        let logical = try items.read("logical sector size", VHDXMetadataTable.logicalSectorSizeID, length: 4)
        let logicalSectorSize = try items.number(UInt32.self, in: logical.bytes, at: 0)
        let physical = try items.read("physical sector size", VHDXMetadataTable.physicalSectorSizeID, length: 4)
        let physicalSectorSize = try items.number(UInt32.self, in: physical.bytes, at: 0)
        guard logicalSectorSize == 512 || logicalSectorSize == 4_096 else {
            throw file.corrupt("A logical sector has 512 or 4096 bytes, not \(logicalSectorSize).", at: logical.offset)
        }
        guard physicalSectorSize == 512 || physicalSectorSize == 4_096 else {
            throw file.corrupt(
                "A physical sector has 512 or 4096 bytes, not \(physicalSectorSize).",
                at: physical.offset
            )
        }

        let size = try items.read("virtual disk size", VHDXMetadataTable.virtualDiskSizeID, length: 8)
        let virtualSize = try items.number(UInt64.self, in: size.bytes, at: 0)
        guard virtualSize > 0, virtualSize <= VHDXFormat.maximumVirtualSize,
            virtualSize % UInt64(logicalSectorSize) == 0
        else {
            throw file.corrupt("\(virtualSize) bytes is not a size that a VHDX disk has.", at: size.offset)
        }

        let diskID = try items.read("virtual disk id", VHDXMetadataTable.virtualDiskIDID, length: UInt32(GUID.length))
        var metadata = VHDXMetadata(
            blockSize: blockSize,
            leavesBlocksAllocated: flags & 1 != 0,
            hasParent: flags & 2 != 0,
            virtualSize: virtualSize,
            virtualDiskID: try items.guid(in: diskID.bytes),
            logicalSectorSize: logicalSectorSize,
            physicalSectorSize: physicalSectorSize,
            parent: nil
        )
        if metadata.hasParent {
            let locator = try items.read("parent locator", VHDXMetadataTable.parentLocatorID, length: nil)
            metadata.parent = try VHDXParentLocator.read(locator.bytes, in: file, at: locator.offset)
        }
        return metadata
    }
}

/// Reads items whose places were checked.
private struct Items {
    var file: ReplayedFile
    var region: VHDXRegionTable.Entry
    var table: VHDXMetadataTable

    /// The bytes of an item and their place in the file. `length` is the one it must have, nil for any.
    func read(
        _ name: String,
        _ id: GUID,
        length: UInt32?
    ) throws(ImageError) -> (bytes: [UInt8], offset: UInt64) {
        guard let entry = table.item(id) else {
            throw file.corrupt("The file has no metadata item for the \(name).", at: region.offset)
        }
        let offset = region.offset + UInt64(entry.offset)
        guard length == nil || entry.length == length else {
            throw file.corrupt("The metadata item for the \(name) has a wrong length.", at: offset)
        }
        return (try file.bytes(at: offset, count: Int(entry.length)), offset)
    }

    func number<T: FixedWidthInteger & BitwiseCopyable>(
        _ type: T.Type,
        in bytes: [UInt8],
        at offset: Int
    ) throws(ImageError) -> T {
        do {
            return try bytes.span.bytes.littleEndian(type, at: offset)
        } catch {
            throw file.corrupt("Metadata item: \(error).", at: region.offset)
        }
    }

    func guid(in bytes: [UInt8]) throws(ImageError) -> GUID {
        do { return try GUID(bytes.span.bytes, at: 0) } catch {
            throw file.corrupt("Metadata item: \(error).", at: region.offset)
        }
    }
}

/// The content of a new VHDX file: the header section, the log at 1 MiB, the metadata at 2 MiB, then the block allocation
/// table.
struct VHDXLayout {
    private static let logLength: UInt32 = 1 << 20
    private static let metadataOffset: UInt64 = 2 << 20
    private static let creator = "DiskDelta"

    var blockSize: UInt32
    var virtualSize: UInt64
    var virtualDiskID: GUID
    var logicalSectorSize: UInt32
    var physicalSectorSize: UInt32
    /// The item that names the parent; nil for a disk without one.
    var parentLocator: [UInt8]?
    var inheritedItems: [VHDXMetadataItem] = []

    /// Fills an empty file. The identifier comes last, so that a file that is cut off by a crash is never taken for a disk.
    func write(to storage: some ImageStorage) throws(ImageError) {
        let metadata = VHDXMetadataItem.encoded(items)
        let metadataLength = Self.roundedUp(UInt64(metadata.count))
        let geometry = VHDXGeometry(
            virtualSize: virtualSize,
            blockSize: blockSize,
            logicalSectorSize: logicalSectorSize,
            isDifferencing: parentLocator != nil
        )
        // At most 512 MiB and 32 MiB more for the bitmaps' entries: a 64 TiB disk with blocks of 1 MiB.
        let tableLength = Self.roundedUp(geometry.entryCount * 8)
        let table = VHDXRegionTable(entries: [
            .init(
                id: VHDXRegionTable.blockTableID,
                offset: Self.metadataOffset + metadataLength,
                length: UInt32(truncatingIfNeeded: tableLength),
                isRequired: true
            ),
            .init(
                id: VHDXRegionTable.metadataID,
                offset: Self.metadataOffset,
                length: UInt32(truncatingIfNeeded: metadataLength),
                isRequired: true
            ),
        ])
        try storage.grow(to: Self.metadataOffset + metadataLength + tableLength)
        try storage.write(metadata, at: Self.metadataOffset)
        let encodedTable = table.encoded()
        for offset in VHDXFormat.regionTableOffsets { try storage.write(encodedTable, at: offset) }
        var header = VHDXHeader(
            sequenceNumber: 0,
            fileWriteGUID: .random(),
            dataWriteGUID: .random(),
            logOffset: VHDXFormat.headerSectionLength,
            logLength: Self.logLength
        )
        for offset in VHDXFormat.headerOffsets {
            header.sequenceNumber += 1
            try storage.write(header.encoded(), at: offset)
        }
        try storage.synchronize()
        var identifier = LittleEndianBytes(count: 8 + 2 * Self.creator.utf16.count)
        identifier.set(VHDXFormat.fileIdentifier, at: 0)
        for (index, unit) in Self.creator.utf16.enumerated() { identifier.set(unit, at: 8 + 2 * index) }
        try storage.write(identifier.bytes, at: 0)
        try storage.synchronize()
    }

    private var items: [VHDXMetadataItem] {
        var parameters = LittleEndianBytes(count: 8)
        parameters.set(blockSize, at: 0)
        parameters.set(UInt32(parentLocator == nil ? 0 : 2), at: 4)
        var size = LittleEndianBytes(count: 8)
        size.set(virtualSize, at: 0)
        var diskID = LittleEndianBytes(count: GUID.length)
        diskID.set(virtualDiskID, at: 0)
        var logical = LittleEndianBytes(count: 4)
        logical.set(logicalSectorSize, at: 0)
        var physical = LittleEndianBytes(count: 4)
        physical.set(physicalSectorSize, at: 0)
        var items = [
            VHDXMetadataItem(id: VHDXMetadataTable.fileParametersID, content: parameters.bytes),
            VHDXMetadataItem(id: VHDXMetadataTable.virtualDiskSizeID, isVirtualDisk: true, content: size.bytes),
            VHDXMetadataItem(id: VHDXMetadataTable.virtualDiskIDID, isVirtualDisk: true, content: diskID.bytes),
            VHDXMetadataItem(id: VHDXMetadataTable.logicalSectorSizeID, isVirtualDisk: true, content: logical.bytes),
            VHDXMetadataItem(id: VHDXMetadataTable.physicalSectorSizeID, isVirtualDisk: true, content: physical.bytes),
        ]
        if let parentLocator {
            items.append(VHDXMetadataItem(id: VHDXMetadataTable.parentLocatorID, content: parentLocator))
        }
        return items + inheritedItems
    }

    private static func roundedUp(_ length: UInt64) -> UInt64 {
        (length + VHDXFormat.mebibyte - 1) / VHDXFormat.mebibyte * VHDXFormat.mebibyte
    }
}

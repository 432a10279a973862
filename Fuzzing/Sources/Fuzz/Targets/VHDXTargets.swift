internal import DiskImages
internal import TestSupport

/// The structures of a VHDX file, one after the other.
enum VHDXTargets {
    private static let headers = [64 << 10, 128 << 10]
    private static let regionTables = [192 << 10, 256 << 10]
    private static let metadata = Int(VHDXBuilder.metadataOffset)
    private static let items = metadata + 65_536
    private static let blockTable = Int(VHDXBuilder.blockTableOffset)
    /// What the fuzzer changes of a region table: its header and five entries.
    private static let regionTableLength = 16 + 5 * 32

    static var all: [FuzzTarget] { [headersAndRegions, metadataItems, blocks, locator, chain] }

    private static var parent: VHDXBuilder {
        var parent = VHDXBuilder(virtualSize: 6 << 20, blockSize: 1 << 20)
        parent.dataWriteGUID = GUID(high: 0xABCD, low: 0x1234)
        parent.blocks = [0: .init(state: 6), 3: .init(state: 2)]
        return parent
    }

    private static var child: VHDXBuilder {
        var child = VHDXBuilder(virtualSize: 6 << 20, blockSize: 1 << 20)
        child.setParent(parent.dataWriteGUID, path: ".\\parent.vhdx")
        child.blocks = [
            0: .init(state: 6), 1: .init(state: 7, sectors: [0, 5, 77, 2_047]), 2: .init(state: 2),
            3: .init(state: 3), 4: .init(state: 1),
        ]
        return child
    }

    /// A file, with only one copy of the region table where the second is not what is damaged: its checksum costs most of
    /// the time.
    private static func file(_ builder: VHDXBuilder, name: String, bothRegionTables: Bool = false) -> MemoryFile {
        var content = Templates.content(builder.write)
        if !bothRegionTables { content.replaceSubrange(regionTables[1]..<regionTables[1] + 4, with: [0, 0, 0, 0]) }
        return MemoryFile(name: name, content: content)
    }

    private static func repair(_ file: MemoryFile) {
        for header in headers { headerChecksum.repair(file, at: header) }
        for table in regionTables { regionTableChecksum.repair(file, at: table) }
    }

    private static let headerChecksum = CRCRepair(used: 80, length: 4_096, signature: "head")
    private static let regionTableChecksum = CRCRepair(used: regionTableLength, length: 65_536, signature: "regi")

    private static var headersAndRegions: FuzzTarget {
        FuzzTarget(
            name: "vhdx-header",
            files: [file(child, name: "child.vhdx", bothRegionTables: true)],
            places: [.init(offset: 0, length: 16)] + headers.map { .init(offset: $0, length: 80) }
                + regionTables.map { .init(offset: $0, length: regionTableLength) },
            repair: repair
        )
    }

    private static var metadataItems: FuzzTarget {
        FuzzTarget(
            name: "vhdx-metadata",
            files: [file(child, name: "child.vhdx")],
            places: [.init(offset: metadata, length: 32 + 8 * 32), .init(offset: items, length: 240)]
        )
    }

    private static var blocks: FuzzTarget {
        let child = child
        let image = file(child, name: "child.vhdx")
        // The place of the bitmap block is in bytes 2 to 7 of its entry; it is a multiple of 1 MiB.
        let bitmapEntry = Int(child.placeOfEntry(bitmap: 0))
        let bitmap =
            image.original(bitmapEntry..<bitmapEntry + 8).reversed().reduce(0) { $0 << 8 | Int($1) } & ~0xF_FFFF
        return FuzzTarget(
            name: "vhdx-blocks",
            files: [image],
            places: [
                // The file parameters, the disk's size, and its logical sector size behind the 16 bytes of its id.
                .init(offset: items, length: 16), .init(offset: items + 32, length: 4),
                .init(offset: blockTable, length: 12 * 8), .init(offset: bitmapEntry, length: 8),
                .init(offset: bitmap, length: 16), .init(offset: bitmap + 256, length: 64),
            ]
        )
    }

    private static var locator: FuzzTarget {
        var content = Templates.content(child.write)
        // The item is made longer than what it holds, so that there is room for more.
        let (entry, place, room) = (metadata + 32 + 5 * 32, items + 40, 1_200)
        content.replaceSubrange(entry + 20..<entry + 24, with: [UInt8(room & 0xFF), UInt8(room >> 8), 0, 0])
        content.replaceSubrange(regionTables[1]..<regionTables[1] + 4, with: [0, 0, 0, 0])
        return FuzzTarget(
            name: "vhdx-locator",
            files: [MemoryFile(name: "child.vhdx", content: content)],
            places: [.init(offset: place, length: room)]
        )
    }

    private static var chain: FuzzTarget {
        let files = [file(child, name: "child.vhdx"), file(parent, name: "parent.vhdx")]
        let bitmapEntry = Int(child.placeOfEntry(bitmap: 0))
        let places: [(offset: Int, length: Int)] = [
            (headers[1], 80), (regionTables[0], regionTableLength), (metadata, 32 + 8 * 32), (items, 600),
            (blockTable, 64), (bitmapEntry, 8), (7 << 20, 1_024),
        ]
        return FuzzTarget(
            name: "vhdx-chain",
            files: files,
            places: files.indices.flatMap { file in
                places.filter { $0.offset + $0.length <= files[file].size }
                    .map { .init(file: file, offset: $0.offset, length: $0.length) }
            },
            spreading: .patches,
            repair: repair,
            test: .disk
        )
    }
}

internal import DiskImages
internal import TestSupport

/// The structures of a VHD file.
enum VHDTargets {
    private static let header = Int(VHDBuilder.headerOffset)
    private static let table = Int(VHDBuilder.tableOffset)
    private static let locators = header + 576
    /// What the fuzzer changes of a footer: all fields that mean something.
    private static let footerLength = 86

    static var all: [FuzzTarget] { [structure, blocks, locator, chain] }

    private static var parent: VHDBuilder {
        var parent = VHDBuilder(virtualSize: 512 << 10, blockSize: 64 << 10)
        parent.uniqueID = GUID(high: 0xABCD, low: 0x1234)
        parent.blocks = [0: .init(sectors: Set(0..<128)), 5: .init(sectors: [3])]
        return parent
    }

    private static var child: VHDBuilder {
        var child = VHDBuilder(virtualSize: 512 << 10, blockSize: 64 << 10)
        child.setParent(parent.uniqueID, path: ".\\parent.vhd")
        child.parentName = "parent.vhd"
        child.locators += [
            .init("W2ku", "C:\\disks\\parent.vhd"), .init("MacX", Array("file:///disks/par%65nt.vhd".utf8)),
            .init("Wi2r", Array(".\\parent.vhd".utf8)),
        ]
        child.blocks = [0: .init(sectors: Set(0..<128)), 1: .init(sectors: [0, 5, 77, 127]), 6: .init(sectors: [9])]
        return child
    }

    private static func file(_ builder: VHDBuilder, name: String) -> MemoryFile {
        MemoryFile(name: name, content: Templates.content(builder.write))
    }

    private static func repair(_ file: MemoryFile) {
        repairSum(file, at: 0, length: 512, field: 64)
        repairSum(file, at: header, length: 1_024, field: 36)
        repairSum(file, at: file.size - 512, length: 512, field: 64)
    }

    /// The complement of the sum of all bytes but the field's own.
    private static func repairSum(_ file: MemoryFile, at offset: Int, length: Int, field: Int) {
        var sum: UInt32 = 0
        for index in 0..<length where !(field..<field + 4).contains(index) { sum += UInt32(file[offset + index]) }
        file.write((0..<4).map { UInt8(truncatingIfNeeded: ~sum >> UInt32(24 - 8 * $0)) }, at: offset + field)
    }

    private static var structure: FuzzTarget {
        let file = file(child, name: "child.vhd")
        return FuzzTarget(
            name: "vhd-header",
            files: [file],
            places: [
                .init(offset: file.size - 512, length: footerLength), .init(offset: 0, length: footerLength),
                .init(offset: header, length: 64), .init(offset: locators, length: 8 * 24),
            ],
            repair: repair
        )
    }

    private static var blocks: FuzzTarget {
        let file = file(child, name: "child.vhd")
        // The blocks follow the four locators, of a sector each.
        let first = table + 512 + 4 * 512
        let stride = child.bitmapLength + Int(child.blockSize)
        return FuzzTarget(
            name: "vhd-blocks",
            files: [file],
            places: [
                .init(offset: table, length: 10 * 4), .init(offset: header + 16, length: 20),
                .init(offset: file.size - 512 + 48, length: 16), .init(offset: first, length: 16),
                .init(offset: first + stride, length: 24),
            ],
            repair: repair
        )
    }

    private static var locator: FuzzTarget {
        FuzzTarget(
            name: "vhd-locator",
            files: [file(child, name: "child.vhd")],
            places: [
                .init(offset: table + 512, length: 96), .init(offset: table + 1_024, length: 96),
                .init(offset: table + 1_536, length: 96), .init(offset: table + 2_048, length: 96),
                .init(offset: locators, length: 5 * 24), .init(offset: header + 64, length: 64),
            ],
            repair: repair
        )
    }

    private static var chain: FuzzTarget {
        let files = [file(child, name: "child.vhd"), file(parent, name: "parent.vhd")]
        return FuzzTarget(
            name: "vhd-chain",
            files: files,
            places: files.indices.flatMap { file -> [FuzzTarget.Place] in
                [(files[file].size - 512, footerLength), (0, footerLength), (header, 1_024), (table, 4_096)]
                    .map { .init(file: file, offset: $0.0, length: $0.1) }
            },
            spreading: .patches,
            repair: repair,
            test: .disk
        )
    }
}

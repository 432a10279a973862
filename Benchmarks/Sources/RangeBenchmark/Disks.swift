import DiskImages
import TestSupport

/// Two disks of 1 TiB, each on a base, with a million changed ranges: one where they are spread over the whole disk, one
/// where they stand close together. Their blocks are holes: only metadata is ever read.
enum Disks {
    static let rangeCount = 1_000_000
    static let size: UInt64 = 1 << 40
    static let blockSize: UInt32 = 2 << 20

    static func make(in folder: String) throws {
        var base = VHDXBuilder(virtualSize: size, blockSize: blockSize)
        base.parameterFlags = 0
        try base.write(to: "\(folder)/base.vhdx")
        try child(of: base, blocks: spread()).write(to: "\(folder)/spread.avhdx")
        try child(of: base, blocks: dense()).write(to: "\(folder)/dense.avhdx")
        print(base.dataWriteGUID)
    }

    private static func child(of base: VHDXBuilder, blocks: [Int: VHDXBuilder.Block]) -> VHDXBuilder {
        var child = VHDXBuilder(virtualSize: size, blockSize: blockSize)
        child.dataWriteGUID = .random()
        child.setParent(base.dataWriteGUID, path: "base.vhdx")
        child.blocks = blocks
        return child
    }

    /// Two ranges of 4 KiB in each of half a million blocks.
    private static func spread() -> [Int: VHDXBuilder.Block] {
        let sectors = Set((0..<8).map { 100 + $0 } + (0..<8).map { 2_000 + $0 })
        var blocks: [Int: VHDXBuilder.Block] = [:]
        for index in 0..<rangeCount / 2 { blocks[index] = VHDXBuilder.Block(state: 7, sectors: sectors) }
        return blocks
    }

    /// Every second sector, in as many blocks as it takes.
    private static func dense() -> [Int: VHDXBuilder.Block] {
        let perBlock = Int(blockSize) / 512 / 2
        var blocks: [Int: VHDXBuilder.Block] = [:]
        var left = rangeCount
        while left > 0 {
            let count = min(left, perBlock)
            blocks[1_000 + blocks.count] = VHDXBuilder.Block(state: 7, sectors: Set((0..<count).map { 2 * $0 }))
            left -= count
        }
        return blocks
    }
}

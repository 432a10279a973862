import DiskImages
import TestSupport

/// Chains whose sector bitmaps are all there is to read: their blocks are holes.
enum Disks {
    static let blockSize: UInt32 = 2 << 20
    /// Each has 512 bytes of sector bitmap.
    static let sparseBlocks = 524_288
    static let denseBlocks = 16_384
    static let hugeSize: UInt64 = 64 << 40

    static func make(in folder: String) throws {
        let size = UInt64(sparseBlocks) * UInt64(blockSize)
        let base = try chain(size: size, blockSize: blockSize, names: ["base.vhdx"], blocks: [], in: folder)
        // A range of 4 KiB in every 64 KiB of bitmap.
        let sectors = Set(100..<108)
        try child("sparse", of: base, in: folder) { builder in
            for index in 0..<sparseBlocks {
                builder.blocks[index] = VHDXBuilder.Block(state: 7, sectors: index % 128 == 0 ? sectors : [])
            }
        }
        let everySecond = Set((0..<Int(blockSize) / 1_024).map { 2 * $0 })
        try child("dense", of: base, in: folder) { builder in
            for index in 0..<denseBlocks { builder.blocks[index] = VHDXBuilder.Block(state: 7, sectors: everySecond) }
        }
        try makeHuge(in: folder)
    }

    private static func chain(
        size: UInt64,
        blockSize: UInt32,
        names: [String],
        blocks: [Int],
        in folder: String
    ) throws -> VHDXBuilder {
        var layer = VHDXBuilder(virtualSize: size, blockSize: blockSize)
        var parent: (id: GUID, name: String)?
        for name in names {
            layer.dataWriteGUID = .random()
            if let parent { layer.setParent(parent.id, path: parent.name) }
            if parent != nil {
                for (number, block) in blocks.enumerated() {
                    layer.blocks[block] = VHDXBuilder.Block(state: 7, sectors: [number % 1_000, 1_500])
                }
            }
            try layer.write(to: "\(folder)/\(name)")
            parent = (layer.dataWriteGUID, name)
        }
        return layer
    }

    private static func child(
        _ name: String,
        of base: VHDXBuilder,
        in folder: String,
        _ fill: (inout VHDXBuilder) -> Void
    ) throws {
        var child = VHDXBuilder(virtualSize: base.virtualSize, blockSize: base.blockSize)
        child.dataWriteGUID = .random()
        child.setParent(base.dataWriteGUID, path: "base.vhdx")
        fill(&child)
        try child.write(to: "\(folder)/\(name).avhdx")
    }

    /// A chain of three layers of 64 TiB in blocks of 1 MiB, with a few thousand changed ranges around its middle.
    private static func makeHuge(in folder: String) throws {
        let middle = Int((hugeSize / 2) >> 20)
        _ = try chain(
            size: hugeSize,
            blockSize: 1 << 20,
            names: ["huge-base.vhdx", "huge-1.avhdx", "huge.avhdx"],
            blocks: Array(stride(from: middle - 2_000, to: middle + 2_000, by: 2)),
            in: folder
        )
    }
}

/// How a virtual disk is cut into blocks and chunks, and where their entries stand in the block allocation table
/// ([MS-VHDX] 2.4 and 2.5).
///
/// All divisors are powers of two. The virtual size is at most 64 TiB, so that no product here can overflow.
struct VHDXGeometry: Equatable {
    let virtualSize: UInt64
    let blockShift: UInt64
    let sectorShift: UInt64
    /// The number of payload blocks of a chunk, which share a sector bitmap block, as a power of two.
    let chunkRatioShift: UInt64
    let isDifferencing: Bool

    init(virtualSize: UInt64, blockSize: UInt32, logicalSectorSize: UInt32, isDifferencing: Bool) {
        self.virtualSize = virtualSize
        blockShift = UInt64(blockSize.trailingZeroBitCount)
        sectorShift = UInt64(logicalSectorSize.trailingZeroBitCount)
        chunkRatioShift = 23 + sectorShift - blockShift
        self.isDifferencing = isDifferencing
    }

    init(_ metadata: VHDXMetadata) {
        self.init(
            virtualSize: metadata.virtualSize,
            blockSize: metadata.blockSize,
            logicalSectorSize: metadata.logicalSectorSize,
            isDifferencing: metadata.hasParent
        )
    }

    var blockSize: UInt64 { 1 << blockShift }
    var sectorSize: UInt64 { 1 << sectorShift }
    var chunkShift: UInt64 { blockShift + chunkRatioShift }

    /// How many payload blocks the disk has.
    var blockCount: UInt64 { (virtualSize + blockSize - 1) >> blockShift }

    /// How many chunks the disk has, and so how many sector bitmap blocks a differencing disk can have.
    var chunkCount: UInt64 { (blockCount + (1 << chunkRatioShift) - 1) >> chunkRatioShift }

    /// How many entries the block allocation table has.
    var entryCount: UInt64 {
        isDifferencing
            ? chunkCount << chunkRatioShift + chunkCount
            : blockCount + (blockCount - 1) >> chunkRatioShift
    }

    /// The entry of payload block `block`: each chunk's blocks are followed by the entry of its sector bitmap.
    func entryIndex(ofBlock block: UInt64) -> UInt64 {
        block + block >> chunkRatioShift
    }

    /// The entry of the sector bitmap block of `chunk`.
    func entryIndex(ofBitmap chunk: UInt64) -> UInt64 {
        (chunk + 1) << chunkRatioShift + chunk
    }

    /// How many bytes of the virtual disk block `block` holds: less than a block at the disk's end.
    func length(ofBlock block: UInt64) -> UInt64 {
        min(blockSize, virtualSize - block << blockShift)
    }
}

/// How a virtual disk is cut into blocks. All divisors are powers of two.
struct VHDGeometry: Equatable {
    let virtualSize: UInt64
    let blockShift: UInt64
    let isDifferencing: Bool

    init(virtualSize: UInt64, blockSize: UInt32, isDifferencing: Bool) {
        self.virtualSize = virtualSize
        blockShift = UInt64(blockSize.trailingZeroBitCount)
        self.isDifferencing = isDifferencing
    }

    var blockSize: UInt64 { 1 << blockShift }

    /// How many blocks the disk has.
    var blockCount: UInt64 { (virtualSize + blockSize - 1) >> blockShift }

    var sectorsPerBlock: UInt64 { blockSize >> VHDFormat.sectorShift }

    /// In bytes: a bit for each sector, in whole sectors. The data follows behind it.
    var bitmapLength: UInt64 {
        ((sectorsPerBlock + 7) / 8 + VHDFormat.sectorSize - 1) / VHDFormat.sectorSize * VHDFormat.sectorSize
    }

    /// How many bytes of the virtual disk block `block` holds: less than a block at the disk's end.
    func length(ofBlock block: UInt64) -> UInt64 {
        min(blockSize, virtualSize - block << blockShift)
    }
}

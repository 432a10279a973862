internal import ByteReading

extension VHDFooter {
    /// Four letters of this program's own.
    private static let creator = "dskd"

    /// The footer of a new disk.
    ///
    /// Its geometry is the largest there is, and not the one that the specification calculates from the size: with it QEMU
    /// goes by the size, as Windows, Hyper-V and 7-Zip always do, whatever creator it finds (`VHDSizeByGeometry`). With a
    /// calculated geometry it would cut the disk off, unless the disk claimed to be made by a program that QEMU knows. QEMU
    /// makes disks for Hyper-V in the same way (`force_size`). Only Virtual PC goes by the geometry, and would see more than
    /// there is.
    init(type: DiskType, virtualSize: UInt64, uniqueID: GUID, timestamp: UInt32) throws(OutOfBounds) {
        var bytes = BigEndianBytes(count: Int(VHDFormat.footerLength))
        bytes.set(VHDFormat.footerCookie, at: 0)
        bytes.set(UInt32(2), at: 8)
        bytes.set(VHDFormat.version, at: 12)
        bytes.set(type == .fixed ? UInt64.max : VHDFormat.footerLength, at: 16)
        bytes.set(timestamp, at: 24)
        bytes.set(Array(Self.creator.utf8), at: 28)
        bytes.set(VHDFormat.version, at: 32)
        // The specification knows Windows and the Macintosh.
        bytes.set(Array("Wi2k".utf8), at: 36)
        bytes.set(virtualSize, at: 40)
        bytes.set(virtualSize, at: 48)
        bytes.set(DiskGeometry.maximum.cylinders, at: 56)
        bytes.set(DiskGeometry.maximum.heads, at: 58)
        bytes.set(DiskGeometry.maximum.sectorsPerTrack, at: 59)
        bytes.set(type.rawValue, at: 60)
        bytes.set(uniqueID, at: 68)
        try bytes.setChecksum(at: Self.checksumField)
        try self.init(bytes.bytes)
    }
}

/// What a new differencing disk says of its parent.
struct VHDParentRecord {
    var identifier: GUID
    /// The name of the parent's file.
    var name: String
    /// From the folder of the child, as Windows writes it.
    var relativePath: String

    /// The content of the only locator. Windows adds one with an absolute path, which no other machine has.
    var locator: [UInt8] {
        relativePath.utf16.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)] }
    }
}

extension VHDHeader {
    /// The dynamic disk header of a new disk, whose locator is to lie at `locatorOffset`.
    static func encoded(
        geometry: VHDGeometry,
        tableOffset: UInt64,
        parent: VHDParentRecord?,
        locatorOffset: UInt64
    ) throws(OutOfBounds) -> [UInt8] {
        var bytes = BigEndianBytes(count: Int(VHDFormat.headerLength))
        bytes.set(VHDFormat.headerCookie, at: 0)
        bytes.set(UInt64.max, at: 8)
        bytes.set(tableOffset, at: 16)
        bytes.set(VHDFormat.version, at: 24)
        bytes.set(UInt32(truncatingIfNeeded: geometry.blockCount), at: 28)
        bytes.set(UInt32(truncatingIfNeeded: geometry.blockSize), at: 32)
        if let parent {
            bytes.set(parent.identifier, at: 40)
            // The time of the parent's modification, at 56, stays zero, as in what Windows writes.
            let units = Array(parent.name.utf16)
            // A zero follows. A name that is too long is no name; the locator has it.
            if units.count < 256 {
                for (index, unit) in units.enumerated() { bytes.set(unit, at: 64 + 2 * index) }
            }
            let length = UInt32(truncatingIfNeeded: parent.locator.count)
            bytes.set(VHDParentLocator.windowsRelative, at: locatorStart)
            // In bytes, as Windows has it: whole sectors.
            bytes.set((length + 511) / 512 * 512, at: locatorStart + 4)
            bytes.set(length, at: locatorStart + 8)
            bytes.set(locatorOffset, at: locatorStart + 16)
        }
        try bytes.setChecksum(at: checksumField)
        return bytes.bytes
    }
}

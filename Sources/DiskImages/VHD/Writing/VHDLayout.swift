internal import Glibc

/// The content of a new VHD file: the copy of the footer, the dynamic disk header, the block allocation table, the parent
/// locator, the footer; or for a fixed disk the data and the footer.
struct VHDLayout {
    private static let headerOffset = VHDFormat.footerLength
    private static let tableOffset = headerOffset + VHDFormat.headerLength
    private static let absent = [UInt8](repeating: 0xFF, count: 1 << 20)

    var type: VHDFooter.DiskType
    var virtualSize: UInt64
    var blockSize: UInt32
    var parent: VHDParentRecord?

    /// Fills an empty file. The footers come last, so that a file that is cut off by a crash is never taken for a disk.
    func write(to storage: some ImageStorage, path: String) throws(ImageError) {
        let footer: [UInt8]
        let header: [UInt8]
        let geometry = VHDGeometry(virtualSize: virtualSize, blockSize: blockSize, isDifferencing: parent != nil)
        let tableLength = Self.roundedUp(geometry.blockCount * 4)
        let locatorOffset = Self.tableOffset + tableLength
        do {
            footer = try VHDFooter(
                type: type,
                virtualSize: virtualSize,
                uniqueID: .random(),
                timestamp: VHDTime.now
            ).bytes
            header = try VHDHeader.encoded(
                geometry: geometry,
                tableOffset: Self.tableOffset,
                parent: parent,
                locatorOffset: locatorOffset
            )
        } catch {
            throw ImageError(.writeFailed, "The disk cannot be made: \(error).", path: path)
        }
        guard type != .fixed else {
            try storage.grow(to: virtualSize + VHDFormat.footerLength)
            try storage.synchronize()
            try storage.write(footer, at: virtualSize)
            return try storage.synchronize()
        }
        let locator = parent?.locator ?? []
        let end = locatorOffset + Self.roundedUp(UInt64(locator.count))
        try storage.grow(to: end + VHDFormat.footerLength)
        try storage.write(header, at: Self.headerOffset)
        var done: UInt64 = 0
        while done < tableLength {
            let part = Array(Self.absent.prefix(Int(min(tableLength - done, UInt64(Self.absent.count)))))
            try storage.write(part, at: Self.tableOffset + done)
            done += UInt64(part.count)
        }
        try storage.write(locator, at: locatorOffset)
        try storage.synchronize()
        try storage.write(footer, at: 0)
        try storage.write(footer, at: end)
        try storage.synchronize()
    }

    private static func roundedUp(_ length: UInt64) -> UInt64 {
        (length + VHDFormat.sectorSize - 1) / VHDFormat.sectorSize * VHDFormat.sectorSize
    }
}

/// The time as footers have it.
enum VHDTime {
    /// The beginning of the year 2000, in seconds since that of 1970.
    static let start = 946_684_800

    static var now: UInt32 { UInt32(clamping: time(nil) - start) }
}

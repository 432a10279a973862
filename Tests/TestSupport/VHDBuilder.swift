public import DiskImages

/// Makes VHD files from a description, field by field as the specification lays them out, without the code under test.
///
/// What it makes is small and simple: the copy of the footer, the dynamic disk header at 512, the block allocation table at
/// 1,536, the locators, the blocks, the footer. Every field can be set to something wrong.
public struct VHDBuilder {
    public struct Block {
        /// The sector of the file where the block's bitmap begins; nil places it behind what is there.
        public var entry: UInt32?
        /// The sectors, counted from the block's start, that are set in the bitmap.
        public var sectors: Set<Int>

        public init(entry: UInt32? = nil, sectors: Set<Int>) {
            self.entry = entry
            self.sectors = sectors
        }
    }

    public struct Locator {
        public var platform: String
        public var bytes: [UInt8]
        /// Nil for as many as there are.
        public var length: UInt32?
        /// Nil for where the bytes are.
        public var offset: UInt64?
        public var space: UInt32 = 1

        public init(_ platform: String, _ bytes: [UInt8], length: UInt32? = nil, offset: UInt64? = nil) {
            self.platform = platform
            self.bytes = bytes
            self.length = length
            self.offset = offset
        }

        /// A path as Windows stores it.
        public init(_ platform: String, _ path: String) {
            self.init(platform, path.utf16.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] })
        }
    }

    public static let headerOffset: UInt64 = 512
    public static let tableOffset: UInt64 = 1_536

    public var virtualSize: UInt64
    public var blockSize: UInt32
    /// 2 fixed, 3 dynamic, 4 differencing.
    public var type: UInt32 = 3
    public var creator = "test"
    public var features: UInt32 = 2
    public var version: UInt32 = 0x10000
    public var dataOffset = headerOffset
    public var timestamp: UInt32 = 0x2719_8E1B
    /// Cylinders, heads and sectors per track.
    public var geometry: (UInt16, UInt8, UInt8) = (100, 4, 17)
    public var uniqueID = GUID(high: 0x3333_3333_3333_4333, low: 0x8333_3333_3333_3333)
    public var savedState: UInt8 = 0
    public var footerLength = 512
    public var hasCopy = true

    public var headerVersion: UInt32 = 0x10000
    public var headerTableOffset = tableOffset
    /// Nil for as many as the disk has blocks.
    public var maximumEntryCount: UInt32?
    public var parentID = GUID.zero
    /// In seconds since the beginning of the year 2000.
    public var parentTimestamp: UInt32 = 0
    public var parentName = ""
    public var locators: [Locator] = []
    public var blocks: [Int: Block] = [:]
    /// What sectors that are set hold.
    public var fill: UInt8 = 0xD7

    public init(virtualSize: UInt64, blockSize: UInt32 = 2 << 20) {
        self.virtualSize = virtualSize
        self.blockSize = blockSize
    }

    /// Makes this a differencing disk.
    public mutating func setParent(_ identifier: GUID, path: String) {
        type = 4
        parentID = identifier
        locators = [Locator("W2ru", path)]
    }

    public var blockCount: Int { Int((virtualSize + UInt64(blockSize) - 1) / UInt64(blockSize)) }
    public var bitmapLength: Int { ((Int(blockSize) / 512 + 7) / 8 + 511) / 512 * 512 }

    /// Where the entry of a block stands in the file.
    public func placeOfEntry(block: Int) -> UInt64 { Self.tableOffset + UInt64(block) * 4 }

    /// Writes the file, over one that is there.
    public func write(to path: String) throws {
        let file = try RawFile(path, create: true)
        guard type != 2 else {
            try file.truncate(to: virtualSize)
            try file.write(footer(), at: virtualSize)
            return
        }
        if hasCopy { try file.write(footer(), at: 0) }
        let tableLength = (blockCount * 4 + 511) / 512 * 512
        try file.write([UInt8](repeating: 0xFF, count: tableLength), at: Self.tableOffset)
        var end = Self.tableOffset + UInt64(tableLength)
        var places: [UInt64] = []
        for locator in locators {
            places.append(end)
            try file.write(locator.bytes, at: end)
            end += UInt64(locator.bytes.count + 511) / 512 * 512
        }
        try file.write(header(locatorPlaces: places), at: Self.headerOffset)
        for (index, block) in blocks.sorted(by: { $0.key < $1.key }) {
            let entry = block.entry ?? UInt32(end / 512)
            try file.write(bigEndian(entry), at: placeOfEntry(block: index))
            guard block.entry == nil else { continue }
            var bits = [UInt8](repeating: 0, count: bitmapLength)
            for sector in block.sectors {
                bits[sector / 8] |= 0x80 >> UInt8(sector % 8)
                try file.write(
                    [UInt8](repeating: fill, count: 512),
                    at: end + UInt64(bitmapLength + sector * 512)
                )
            }
            try file.write(bits, at: end)
            end += UInt64(bitmapLength) + UInt64(blockSize)
        }
        try file.write(footer(), at: end)
    }

    public func footer() -> [UInt8] {
        var bytes = Array("conectix".utf8) + bigEndian(features) + bigEndian(version)
        bytes += bigEndian(type == 2 ? UInt64.max : dataOffset) + bigEndian(timestamp) + Array(creator.utf8.prefix(4))
        bytes += bigEndian(UInt32(0x10000)) + Array("Wi2k".utf8) + bigEndian(virtualSize) + bigEndian(virtualSize)
        bytes += bigEndian(geometry.0) + [geometry.1, geometry.2] + bigEndian(type) + bigEndian(UInt32(0))
        bytes += bigEndian(uniqueID.high) + bigEndian(uniqueID.low) + [savedState]
        return Self.checksummed(bytes, field: 64, length: footerLength)
    }

    private func header(locatorPlaces: [UInt64]) -> [UInt8] {
        var bytes = Array("cxsparse".utf8) + bigEndian(UInt64.max) + bigEndian(headerTableOffset)
        bytes += bigEndian(headerVersion) + bigEndian(maximumEntryCount ?? UInt32(blockCount)) + bigEndian(blockSize)
        bytes += bigEndian(UInt32(0)) + bigEndian(parentID.high) + bigEndian(parentID.low)
        bytes += bigEndian(parentTimestamp) + bigEndian(UInt32(0))
        let name = parentName.utf16.flatMap { bigEndian($0) }
        bytes += name + [UInt8](repeating: 0, count: 512 - name.count)
        for (locator, place) in zip(locators, locatorPlaces) {
            bytes += Array(locator.platform.utf8) + bigEndian(locator.space)
            bytes += bigEndian(locator.length ?? UInt32(locator.bytes.count)) + bigEndian(UInt32(0))
            bytes += bigEndian(locator.offset ?? place)
        }
        return Self.checksummed(bytes, field: 36, length: 1_024)
    }

    /// `bytes` filled up with zeroes to `length`, with the complement of their sum in the field.
    public static func checksummed(_ bytes: [UInt8], field: Int, length: Int) -> [UInt8] {
        var bytes = bytes + [UInt8](repeating: 0, count: length - bytes.count)
        bytes.replaceSubrange(field..<field + 4, with: [0, 0, 0, 0])
        bytes.replaceSubrange(field..<field + 4, with: bigEndian(~bytes.reduce(UInt32(0)) { $0 + UInt32($1) }))
        return bytes
    }
}

private func bigEndian<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
    (0..<MemoryLayout<T>.size).reversed().map { UInt8(truncatingIfNeeded: value >> T($0 * 8)) }
}

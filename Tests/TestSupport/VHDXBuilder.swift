public import DiskImages

/// Makes VHDX files from a description, field by field as [MS-VHDX] lays them out, without the code under test.
///
/// What it makes is small and simple: the log at 1 MiB, the metadata at 2 MiB, the block allocation table at 3 MiB, the
/// blocks after that. Every field can be set to something wrong.
public struct VHDXBuilder {
    public struct Block {
        public var state: UInt64
        /// Where the block lies; nil places it behind what is there, for the states that have a place.
        public var offset: UInt64?
        /// The sectors, counted from the block's start, that are set in the sector bitmap.
        public var sectors: Set<Int> = []

        public init(state: UInt64, offset: UInt64? = nil, sectors: Set<Int> = []) {
            self.state = state
            self.offset = offset
            self.sectors = sectors
        }
    }

    public struct Region {
        public var id: GUID
        public var offset: UInt64
        public var length: UInt32
        public var required: UInt32

        public init(id: GUID, offset: UInt64, length: UInt32, required: UInt32) {
            self.id = id
            self.offset = offset
            self.length = length
            self.required = required
        }
    }

    public struct Item {
        public var id: GUID
        public var bytes: [UInt8]
        /// Bit 0: a user's; bit 1: of the virtual disk; bit 2: required.
        public var flags: UInt32

        public init(id: GUID, bytes: [UInt8], flags: UInt32) {
            self.id = id
            self.bytes = bytes
            self.flags = flags
        }
    }

    public static let blockTableID = GUID("2DC27766-F623-4200-9D64-115E9BFD4A08") ?? .zero
    public static let metadataID = GUID("8B7CA206-4790-4B9A-B8FE-575F050F886E") ?? .zero
    public static let locatorTypeID = GUID("B04AEFB7-D19E-4A81-B789-25B8E9445913") ?? .zero
    public static let mebibyte: UInt64 = 1 << 20
    public static let metadataOffset = 2 * mebibyte
    public static let blockTableOffset = 3 * mebibyte

    public var virtualSize: UInt64
    public var blockSize: UInt32
    public var logicalSectorSize: UInt32 = 512
    public var physicalSectorSize: UInt32 = 4_096
    /// Bit 0: blocks stay allocated; bit 1: there is a parent.
    public var parameterFlags: UInt32 = 0
    public var virtualDiskID = GUID(high: 0x0102_0304_0506_4708, low: 0x890A_0B0C_0D0E_0F10)
    public var fileWriteGUID = GUID(high: 0x1111_1111_1111_4111, low: 0x8111_1111_1111_1111)
    public var dataWriteGUID = GUID(high: 0x2222_2222_2222_4222, low: 0x8222_2222_2222_2222)
    public var logGUID = GUID.zero
    public var logVersion: UInt16 = 0
    public var version: UInt16 = 1
    public var logOffset: UInt64 = mebibyte
    public var logLength: UInt32 = 1 << 20
    public var sequenceNumbers: [UInt64] = [7, 8]
    public var locatorType = locatorTypeID
    /// The parent locator's keys and values, in order; empty for no locator.
    public var locator: [(key: String, value: String)] = []
    public var blocks: [Int: Block] = [:]
    public var extraRegions: [Region] = []
    public var extraItems: [Item] = []
    public var knownRegionsRequired: UInt32 = 1

    public init(virtualSize: UInt64, blockSize: UInt32) {
        self.virtualSize = virtualSize
        self.blockSize = blockSize
    }

    /// Makes this a differencing disk.
    public mutating func setParent(_ identifier: GUID, path: String) {
        parameterFlags |= 2
        locator = [("parent_linkage", identifier.description), ("relative_path", path)]
    }

    public var chunkRatio: Int { Int((UInt64(logicalSectorSize) << 23) / UInt64(blockSize)) }

    /// Where the entry of a payload block stands in the file.
    public func placeOfEntry(block: Int) -> UInt64 {
        Self.blockTableOffset + UInt64(block + block / chunkRatio) * 8
    }

    /// Where the entry of a chunk's sector bitmap stands in the file.
    public func placeOfEntry(bitmap chunk: Int) -> UInt64 {
        Self.blockTableOffset + UInt64((chunk + 1) * chunkRatio + chunk) * 8
    }

    /// Writes the file, over one that is there.
    public func write(to path: String) throws {
        let file = try RawFile(path, create: true)
        try file.write(Array("vhdxfile".utf8) + text("tests"), at: 0)
        for (index, offset) in [UInt64(64 << 10), 128 << 10].enumerated() {
            try file.write(header(sequenceNumber: sequenceNumbers[index]), at: offset)
        }
        let regionTable = regionTable()
        for offset in [UInt64(192 << 10), 256 << 10] { try file.write(regionTable, at: offset) }
        try file.write(metadata(), at: Self.metadataOffset)
        try writeBlocks(to: file)
    }

    private func header(sequenceNumber: UInt64) -> [UInt8] {
        var bytes = Array("head".utf8) + number(UInt32(0)) + number(sequenceNumber)
        bytes += guid(fileWriteGUID) + guid(dataWriteGUID) + guid(logGUID)
        bytes += number(logVersion) + number(version) + number(logLength) + number(logOffset)
        return Self.checksummed(bytes, length: 4_096)
    }

    private var blockTableLength: UInt32 {
        let count = (virtualSize + UInt64(blockSize) - 1) / UInt64(blockSize)
        let bytes = (count + count / UInt64(chunkRatio) + 2 + UInt64(chunkRatio)) * 8
        return UInt32((bytes + Self.mebibyte - 1) / Self.mebibyte * Self.mebibyte)
    }

    private func regionTable() -> [UInt8] {
        let known = [
            Region(
                id: Self.blockTableID,
                offset: Self.blockTableOffset,
                length: blockTableLength,
                required: knownRegionsRequired
            ),
            Region(id: Self.metadataID, offset: Self.metadataOffset, length: 1 << 20, required: knownRegionsRequired),
        ]
        let regions = known + extraRegions
        var bytes = Array("regi".utf8) + number(UInt32(0)) + number(UInt32(regions.count)) + number(UInt32(0))
        for region in regions {
            bytes += guid(region.id) + number(region.offset) + number(region.length) + number(region.required)
        }
        return Self.checksummed(bytes, length: 65_536)
    }

    private func metadata() -> [UInt8] {
        func id(_ text: String) -> GUID { GUID(text) ?? .zero }
        var items = [
            Item(
                id: id("CAA16737-FA36-4D43-B3B6-33F0AA44E76B"),
                bytes: number(blockSize) + number(parameterFlags),
                flags: 4
            ),
            Item(id: id("2FA54224-CD1B-4876-B211-5DBED83BF4B8"), bytes: number(virtualSize), flags: 6),
            Item(id: id("BECA12AB-B2E6-4523-93EF-C309E000C746"), bytes: guid(virtualDiskID), flags: 6),
            Item(id: id("8141BF1D-A96F-4709-BA47-F233A8FAAB5F"), bytes: number(logicalSectorSize), flags: 6),
            Item(id: id("CDA348C7-445D-4471-9CC9-E9885251C556"), bytes: number(physicalSectorSize), flags: 6),
        ]
        if !locator.isEmpty {
            items.append(Item(id: id("A8D35F2D-B30B-454D-ABF7-D3D84834AB0C"), bytes: parentLocator(), flags: 4))
        }
        items += extraItems
        var table =
            Array("metadata".utf8) + number(UInt16(0)) + number(UInt16(items.count)) + [UInt8](repeating: 0, count: 20)
        var content: [UInt8] = []
        for item in items {
            let offset = item.bytes.isEmpty ? 0 : 65_536 + content.count
            table += guid(item.id) + number(UInt32(offset)) + number(UInt32(item.bytes.count))
            table += number(item.flags) + number(UInt32(0))
            content += item.bytes
        }
        return table + [UInt8](repeating: 0, count: 65_536 - table.count) + content
    }

    private func parentLocator() -> [UInt8] {
        var table = guid(locatorType) + number(UInt16(0)) + number(UInt16(locator.count))
        var strings: [UInt8] = []
        let start = 20 + locator.count * 12
        for (key, value) in locator {
            let keyBytes = text(key)
            let valueBytes = text(value)
            table += number(UInt32(start + strings.count)) + number(UInt32(start + strings.count + keyBytes.count))
            table += number(UInt16(keyBytes.count)) + number(UInt16(valueBytes.count))
            strings += keyBytes + valueBytes
        }
        return table + strings
    }

    private func writeBlocks(to file: RawFile) throws {
        var end = Self.blockTableOffset + UInt64(blockTableLength)
        var bitmaps: [Int: UInt64] = [:]
        for (index, block) in blocks.sorted(by: { $0.key < $1.key }) {
            var offset = block.offset ?? 0
            if block.offset == nil, block.state == 6 || block.state == 7 {
                offset = end
                end += UInt64(blockSize)
            }
            try file.write(number: block.state | offset, at: placeOfEntry(block: index))
            guard !block.sectors.isEmpty || block.state == 7 else { continue }
            let chunk = index / chunkRatio
            if bitmaps[chunk] == nil {
                bitmaps[chunk] = end
                try file.write(number: 6 | end, at: placeOfEntry(bitmap: chunk))
                end += Self.mebibyte
            }
            let sectorsPerBlock = Int(blockSize / logicalSectorSize)
            var bits = [UInt8](repeating: 0, count: sectorsPerBlock / 8)
            for sector in block.sectors { bits[sector / 8] |= 1 << UInt8(sector % 8) }
            try file.write(bits, at: (bitmaps[chunk] ?? 0) + UInt64(index % chunkRatio * sectorsPerBlock / 8))
        }
        try file.truncate(to: max(end, file.size))
    }

    /// `bytes` filled up with zeroes to `length`, with their CRC-32C in the field at 4.
    public static func checksummed(_ bytes: [UInt8], length: Int) -> [UInt8] {
        var bytes = bytes + [UInt8](repeating: 0, count: length - bytes.count)
        bytes.replaceSubrange(4..<8, with: [0, 0, 0, 0])
        bytes.replaceSubrange(4..<8, with: number(Castagnoli.checksum(bytes)))
        return bytes
    }
}

private func number<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
    (0..<MemoryLayout<T>.size).map { UInt8(truncatingIfNeeded: value >> T($0 * 8)) }
}

private func guid(_ value: GUID) -> [UInt8] {
    number(UInt32(value.high >> 32)) + number(UInt16(truncatingIfNeeded: value.high >> 16))
        + number(UInt16(truncatingIfNeeded: value.high)) + number(value.low).reversed()
}

private func text(_ value: String) -> [UInt8] {
    value.utf16.flatMap { number($0) }
}

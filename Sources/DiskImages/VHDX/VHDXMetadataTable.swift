internal import ByteReading

/// Where the metadata items lie inside the metadata region ([MS-VHDX] 2.6.1).
struct VHDXMetadataTable {
    static let length = 65_536
    static let signature: UInt64 = 0x6174_6164_6174_656D  // "metadata"
    static let maximumEntryCount: UInt16 = 2_047
    static let maximumUserEntryCount = 1_024
    static let maximumItemLength: UInt32 = 1 << 20
    static let headerLength = 32
    static let entryLength = 32

    /// The identifiers of the known items (2.6.2).
    static let fileParametersID = GUID(high: 0xCAA1_6737_FA36_4D43, low: 0xB3B6_33F0_AA44_E76B)
    static let virtualDiskSizeID = GUID(high: 0x2FA5_4224_CD1B_4876, low: 0xB211_5DBE_D83B_F4B8)
    static let virtualDiskIDID = GUID(high: 0xBECA_12AB_B2E6_4523, low: 0x93EF_C309_E000_C746)
    static let logicalSectorSizeID = GUID(high: 0x8141_BF1D_A96F_4709, low: 0xBA47_F233_A8FA_AB5F)
    static let physicalSectorSizeID = GUID(high: 0xCDA3_48C7_445D_4471, low: 0x9CC9_E988_5251_C556)
    static let parentLocatorID = GUID(high: 0xA8D3_5F2D_B30B_454D, low: 0xABF7_D3D8_4834_AB0C)
    static let knownIDs: Set<GUID> = [
        fileParametersID, virtualDiskSizeID, virtualDiskIDID, logicalSectorSizeID, physicalSectorSizeID,
        parentLocatorID,
    ]

    struct Entry {
        var id: GUID
        /// From the start of the metadata region.
        var offset: UInt32
        var length: UInt32
        var isUser: Bool
        var isVirtualDisk: Bool
        var isRequired: Bool
        /// Whether a field is set that this version of the format does not have.
        var hasUnknownFields: Bool
    }

    var entries: [Entry]
    /// Whether the table's header has a field set that this version of the format does not have.
    var hasUnknownFields: Bool

    /// The table in `bytes`, or nil where the signature or the count says that it is none.
    init?(_ bytes: RawSpan) throws(OutOfBounds) {
        guard try bytes.littleEndian(UInt64.self, at: 0) == Self.signature else { return nil }
        let count = try bytes.littleEndian(UInt16.self, at: 10)
        guard count <= Self.maximumEntryCount else { return nil }
        hasUnknownFields = try bytes.littleEndian(UInt16.self, at: 8) != 0
        for offset in stride(from: 12, to: Self.headerLength, by: 4) {
            if try bytes.littleEndian(UInt32.self, at: offset) != 0 { hasUnknownFields = true }
        }
        entries = []
        for index in 0..<Int(count) {
            let start = Self.headerLength + index * Self.entryLength
            let flags = try bytes.littleEndian(UInt32.self, at: start + 24)
            let reserved = try bytes.littleEndian(UInt32.self, at: start + 28)
            entries.append(
                Entry(
                    id: try GUID(bytes, at: start),
                    offset: try bytes.littleEndian(UInt32.self, at: start + 16),
                    length: try bytes.littleEndian(UInt32.self, at: start + 20),
                    isUser: flags & 1 != 0,
                    isVirtualDisk: flags & 2 != 0,
                    isRequired: flags & 4 != 0,
                    hasUnknownFields: flags & ~7 != 0 || reserved != 0
                )
            )
        }
    }

    /// Reads the table of a file and checks every entry against the limits of the specification.
    ///
    /// - Throws: `corrupt`; `unsupported` for a required item that is not known.
    static func read(from file: ReplayedFile, region: VHDXRegionTable.Entry) throws(ImageError) -> VHDXMetadataTable {
        let bytes = try file.bytes(at: region.offset, count: length)
        let table: VHDXMetadataTable?
        do { table = try VHDXMetadataTable(bytes.span.bytes) } catch {
            throw file.corrupt("Metadata table: \(error).", at: region.offset)
        }
        guard let table else { throw file.corrupt("The metadata table is damaged.", at: region.offset) }
        try table.check(in: file, region: region)
        return table
    }

    /// The place of the system item `id`; nil where the table has none.
    func item(_ id: GUID) -> Entry? {
        entries.first { $0.id == id && !$0.isUser }
    }

    private struct Key: Hashable {
        var id: GUID
        var isUser: Bool
    }

    private func check(in file: ReplayedFile, region: VHDXRegionTable.Entry) throws(ImageError) {
        var seen: Set<Key> = []
        var ranges: [Range<UInt32>] = []
        guard !hasUnknownFields, !entries.contains(where: \.hasUnknownFields) else {
            throw file.error(
                .unsupported,
                "The metadata table uses a field that this program does not know.",
                at: region.offset
            )
        }
        for entry in entries {
            guard seen.insert(Key(id: entry.id, isUser: entry.isUser)).inserted else {
                throw file.corrupt("The metadata table names item \(entry.id) twice.", at: region.offset)
            }
            guard !entry.isRequired || !entry.isUser && Self.knownIDs.contains(entry.id) else {
                throw file.error(
                    .unsupported,
                    "The file needs metadata item \(entry.id), which this program does not know.",
                    at: region.offset
                )
            }
            if entry.length == 0 {
                guard entry.offset == 0 else {
                    throw file.corrupt("The empty metadata item \(entry.id) has a place.", at: region.offset)
                }
                continue
            }
            guard entry.length <= Self.maximumItemLength, entry.offset >= UInt32(Self.length),
                entry.offset <= region.length, entry.length <= region.length - entry.offset
            else {
                throw file.corrupt(
                    "The metadata table places item \(entry.id) where none can be.",
                    at: region.offset
                )
            }
            ranges.append(entry.offset..<entry.offset + entry.length)
        }
        guard entries.count(where: \.isUser) <= Self.maximumUserEntryCount else {
            throw file.corrupt("The metadata table has more user items than are allowed.", at: region.offset)
        }
        ranges.sort { $0.lowerBound < $1.lowerBound }
        for (one, next) in zip(ranges, ranges.dropFirst()) where one.upperBound > next.lowerBound {
            throw file.corrupt("Two metadata items overlap.", at: region.offset + UInt64(next.lowerBound))
        }
    }
}

internal import ByteReading

/// Where the regions of a VHDX file lie ([MS-VHDX] 2.2.3).
struct VHDXRegionTable: Equatable {
    static let length = 65_536
    static let signature: UInt32 = 0x6967_6572  // "regi"
    static let maximumEntryCount: UInt32 = 2_047
    static let headerLength = 16
    static let entryLength = 32

    /// The identifiers of the known regions.
    static let blockTableID = GUID(high: 0x2DC2_7766_F623_4200, low: 0x9D64_115E_9BFD_4A08)
    static let metadataID = GUID(high: 0x8B7C_A206_4790_4B9A, low: 0xB8FE_575F_050F_886E)

    struct Entry: Equatable {
        var id: GUID
        var offset: UInt64
        var length: UInt32
        var isRequired: Bool

        /// Its place in the file; only for an entry that was checked.
        var range: Range<UInt64> { offset..<offset &+ UInt64(length) }
    }

    var entries: [Entry]

    /// The table in `bytes`, or nil where the signature, the checksum or the count says that it is none.
    init?(_ bytes: RawSpan) throws(OutOfBounds) {
        guard try bytes.littleEndian(UInt32.self, at: 0) == Self.signature else { return nil }
        guard try bytes.littleEndian(UInt32.self, at: 4) == CRC32C.checksum(bytes, checksumField: 4) else { return nil }
        let count = try bytes.littleEndian(UInt32.self, at: 8)
        guard count <= Self.maximumEntryCount else { return nil }
        entries = []
        for index in 0..<Int(count) {
            let start = Self.headerLength + index * Self.entryLength
            entries.append(
                Entry(
                    id: try GUID(bytes, at: start),
                    offset: try bytes.littleEndian(UInt64.self, at: start + 16),
                    length: try bytes.littleEndian(UInt32.self, at: start + 24),
                    isRequired: try bytes.littleEndian(UInt32.self, at: start + 28) != 0
                )
            )
        }
    }
}

/// The regions of a file that was checked: each known one is there, and nothing overlaps.
struct VHDXRegions {
    var blockTable: VHDXRegionTable.Entry
    var metadata: VHDXRegionTable.Entry
    /// The log and every region, ascending by place: where no block can be.
    var occupied: [Range<UInt64>]

    /// Reads both copies of the table and checks what they say.
    ///
    /// - Throws: `corrupt`; `unsupported` for a required region that is not known.
    static func read(from file: ReplayedFile, log: Range<UInt64>) throws(ImageError) -> VHDXRegions {
        let (offset, secondOffset) = (VHDXFormat.regionTableOffsets[0], VHDXFormat.regionTableOffsets[1])
        let bytes = try file.bytes(at: offset, count: VHDXRegionTable.length)
        let secondBytes = try file.bytes(at: secondOffset, count: VHDXRegionTable.length)
        let first = try parse(bytes, of: file, at: offset)
        // Copies that are the same are parsed and summed up once.
        let second = bytes.isSame(as: secondBytes) ? first : try parse(secondBytes, of: file, at: secondOffset)
        if let first, let second, first != second {
            throw file.corrupt("The two copies of the region table are valid and differ.", at: offset)
        }
        guard let table = first ?? second else {
            throw file.corrupt("Neither copy of the region table is valid.", at: offset)
        }
        return try VHDXRegions(checking: table, in: file, at: offset, log: log)
    }

    private static func parse(
        _ bytes: [UInt8],
        of file: ReplayedFile,
        at offset: UInt64
    ) throws(ImageError) -> VHDXRegionTable? {
        do {
            return try VHDXRegionTable(bytes.span.bytes)
        } catch {
            throw file.corrupt("Region table: \(error).", at: offset)
        }
    }

    init(
        checking table: VHDXRegionTable,
        in file: ReplayedFile,
        at offset: UInt64,
        log: Range<UInt64>
    ) throws(ImageError) {
        var seen: Set<GUID> = []
        var blockTable: VHDXRegionTable.Entry?
        var metadata: VHDXRegionTable.Entry?
        occupied = log.isEmpty ? [] : [log]
        for entry in table.entries {
            guard seen.insert(entry.id).inserted else {
                throw file.corrupt("The region table names region \(entry.id) twice.", at: offset)
            }
            switch entry.id {
            case VHDXRegionTable.blockTableID: blockTable = entry
            case VHDXRegionTable.metadataID: metadata = entry
            default:
                guard !entry.isRequired else {
                    throw file.error(
                        .unsupported,
                        "The file needs region \(entry.id), which this program does not know.",
                        at: offset
                    )
                }
            }
            let unit = VHDXFormat.mebibyte
            guard entry.offset >= VHDXFormat.headerSectionLength, entry.offset % unit == 0, entry.length > 0,
                UInt64(entry.length) % unit == 0, entry.offset <= file.size,
                UInt64(entry.length) <= file.size - entry.offset
            else {
                throw file.corrupt("The region table places region \(entry.id) where none can be.", at: offset)
            }
            occupied.append(entry.range)
        }
        occupied.sort { $0.lowerBound < $1.lowerBound }
        for (one, next) in zip(occupied, occupied.dropFirst()) where one.upperBound > next.lowerBound {
            throw file.corrupt("Two regions, or a region and the log, overlap.", at: next.lowerBound)
        }
        guard let blockTable else { throw file.corrupt("The file has no block allocation table.", at: offset) }
        guard let metadata else { throw file.corrupt("The file has no metadata region.", at: offset) }
        self.blockTable = blockTable
        self.metadata = metadata
    }

    /// Whether any of `length` bytes from `offset` belong to the header section, the log or a region.
    func overlap(offset: UInt64, length: UInt64) -> Bool {
        guard offset >= VHDXFormat.headerSectionLength else { return true }
        let (end, overflow) = offset.addingReportingOverflow(length)
        guard !overflow else { return true }
        // The first region that ends above `offset`: the ranges ascend and are disjoint, so their ends ascend as well.
        var low = 0
        var high = occupied.count
        while low < high {
            let middle = (low + high) / 2
            if occupied[middle].upperBound > offset { high = middle } else { low = middle + 1 }
        }
        return low < occupied.count && occupied[low].lowerBound < end
    }
}

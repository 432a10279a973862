internal import ByteReading

/// The header of a log entry ([MS-VHDX] 2.3.1.1), as far as its own fields go.
///
/// An entry is a header and its descriptors, in sectors of 4 KiB, and then a data sector for each data descriptor. It may
/// be longer than that, for a writer whose medium has larger sectors.
struct VHDXLogEntry: Equatable {
    static let signature: UInt32 = 0x6567_6F6C  // "loge"
    static let headerLength: UInt64 = 64

    /// Where it begins, in bytes from the start of the log.
    var position: UInt64
    /// In bytes; as `position` and `tail` a multiple of 4 KiB. An entry may go on at the log's start.
    var length: UInt64
    /// Where the oldest entry lies that was not yet in its place when this one was written, counted as `position`.
    var tail: UInt64
    var sequenceNumber: UInt64
    var descriptorCount: UInt64
    /// The file was at least this long: in bytes.
    var flushedFileOffset: UInt64
    /// All that the file has fits into this many bytes.
    var lastFileOffset: UInt64
    /// Whether a field is set that this version of the format does not have.
    var hasUnknownFields: Bool

    /// The header in `sector`, which lies at `position` of a log of `logLength` bytes; nil where it is none, or one that
    /// another log had.
    ///
    /// The two file sizes must be multiples of 1 MiB; QEMU writes the size that the file has. They are not refused.
    init?(_ sector: RawSpan, at position: UInt64, logLength: UInt64, logGUID: GUID) throws(OutOfBounds) {
        guard try sector.littleEndian(UInt32.self, at: 0) == Self.signature, try GUID(sector, at: 32) == logGUID
        else { return nil }
        self.position = position
        length = UInt64(try sector.littleEndian(UInt32.self, at: 8))
        tail = UInt64(try sector.littleEndian(UInt32.self, at: 12))
        sequenceNumber = try sector.littleEndian(UInt64.self, at: 16)
        descriptorCount = UInt64(try sector.littleEndian(UInt32.self, at: 24))
        hasUnknownFields = try sector.littleEndian(UInt32.self, at: 28) != 0
        flushedFileOffset = try sector.littleEndian(UInt64.self, at: 48)
        lastFileOffset = try sector.littleEndian(UInt64.self, at: 56)
        guard length > 0, length % VHDXLog.sectorLength == 0, length <= logLength,
            tail % VHDXLog.sectorLength == 0, tail < logLength, sequenceNumber > 0,
            descriptorSectorCount <= sectorCount
        else { return nil }
    }

    var sectorCount: UInt64 { length / VHDXLog.sectorLength }

    /// How many sectors the header and the descriptors take: the header has the room of two descriptors.
    var descriptorSectorCount: UInt64 {
        (Self.headerLength + descriptorCount * VHDXLogDescriptor.length + VHDXLog.sectorLength - 1)
            / VHDXLog.sectorLength
    }

    /// The places of the descriptors in sector `index` of the entry, in bytes from that sector's start.
    func descriptorPlaces(inSector index: UInt64) -> StrideTo<Int> {
        let begin = index == 0 ? Self.headerLength : 0
        let all = Self.headerLength + descriptorCount * VHDXLogDescriptor.length
        let start = index * VHDXLog.sectorLength
        let end = min(VHDXLog.sectorLength, all > start ? all - start : 0)
        return stride(from: Int(begin), to: Int(end), by: Int(VHDXLogDescriptor.length))
    }
}

/// What one descriptor of a log entry says is to be written ([MS-VHDX] 2.3.1.2 and 2.3.1.3).
struct VHDXLogDescriptor: Equatable {
    static let length: UInt64 = 32
    static let zeroSignature: UInt32 = 0x6F72_657A  // "zero"
    static let dataSignature: UInt32 = 0x6373_6564  // "desc"

    enum Kind: Equatable {
        /// So many bytes of zeroes: a multiple of 4 KiB.
        case zero(length: UInt64)
        /// 4 KiB, of which the first eight bytes and the last four stand in the descriptor.
        case data
    }

    var kind: Kind
    /// Where in the file, in bytes: a multiple of 4 KiB.
    var fileOffset: UInt64
    /// Whether a field is set that this version of the format does not have.
    var hasUnknownFields: Bool

    /// The descriptor in `bytes`; nil where it is none of an entry with this sequence number.
    init?(_ bytes: RawSpan, at offset: Int, sequenceNumber: UInt64) throws(OutOfBounds) {
        fileOffset = try bytes.littleEndian(UInt64.self, at: offset + 16)
        guard try bytes.littleEndian(UInt64.self, at: offset + 24) == sequenceNumber,
            fileOffset % VHDXLog.sectorLength == 0
        else { return nil }
        switch try bytes.littleEndian(UInt32.self, at: offset) {
        case Self.zeroSignature:
            let length = try bytes.littleEndian(UInt64.self, at: offset + 8)
            guard length % VHDXLog.sectorLength == 0 else { return nil }
            kind = .zero(length: length)
            hasUnknownFields = try bytes.littleEndian(UInt32.self, at: offset + 4) != 0
        case Self.dataSignature:
            kind = .data
            hasUnknownFields = false
        default: return nil
        }
    }
}

/// A sector of a log entry that holds what a data descriptor describes ([MS-VHDX] 2.3.1.4).
enum VHDXLogDataSector {
    static let signature: UInt32 = 0x6174_6164  // "data"

    /// Whether `sector` was written with the entry that has this sequence number.
    static func isGood(_ sector: RawSpan, sequenceNumber: UInt64) throws(OutOfBounds) -> Bool {
        let high = try sector.littleEndian(UInt32.self, at: 4)
        let low = try sector.littleEndian(UInt32.self, at: Int(VHDXLog.sectorLength) - 4)
        return try sector.littleEndian(UInt32.self, at: 0) == signature
            && UInt64(high) << 32 | UInt64(low) == sequenceNumber
    }
}

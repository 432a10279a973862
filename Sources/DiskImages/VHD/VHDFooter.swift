internal import ByteReading

/// The footer of a VHD file ("Hard Disk Footer Format"): what the disk is, in the file's last 512 bytes, and for all but
/// fixed disks in its first 512 as well.
struct VHDFooter: Equatable {
    enum DiskType: UInt32 {
        case fixed = 2
        case dynamic = 3
        case differencing = 4
    }

    /// What stands where a footer may be.
    enum Reading {
        case missing
        case wrongChecksum
        case footer(VHDFooter)
    }

    static let checksumField = 64

    /// All of it, the reserved fields included, in 512 bytes; a shorter one is filled up with a zero.
    private(set) var bytes: [UInt8]

    let features: UInt32
    let version: UInt32
    /// Where the dynamic disk header is; of no meaning for a fixed disk.
    let dataOffset: UInt64
    /// In seconds since the beginning of the year 2000.
    private(set) var timestamp: UInt32
    /// Four letters for the program that made the disk.
    let creator: UInt32
    /// The size of the virtual disk in bytes, whoever made it. `VHDSizeByGeometry` has what other programs make of it.
    let currentSize: UInt64
    let diskGeometry: DiskGeometry
    let type: UInt32
    let uniqueID: GUID
    let savedState: UInt8

    /// The cylinders, heads and sectors per track of an ATA disk of this size ("Disk Geometry").
    struct DiskGeometry: Equatable {
        /// The largest that an ATA disk has.
        static let maximum = DiskGeometry(cylinders: 65_535, heads: 16, sectorsPerTrack: 255)

        let cylinders: UInt16
        let heads: UInt8
        let sectorsPerTrack: UInt8

        /// In bytes; below 2^41.
        var size: UInt64 { UInt64(cylinders) * UInt64(heads) * UInt64(sectorsPerTrack) * VHDFormat.sectorSize }
    }

    /// What `bytes`, 511 or 512 of them, are.
    static func read(_ bytes: [UInt8]) throws(OutOfBounds) -> Reading {
        let padded = bytes + [UInt8](repeating: 0, count: max(0, Int(VHDFormat.footerLength) - bytes.count))
        let span = padded.span.bytes
        guard try span.bigEndian(UInt64.self, at: 0) == VHDFormat.footerCookie else { return .missing }
        let checksum = try VHDFormat.checksum(span, field: checksumField)
        guard try span.bigEndian(UInt32.self, at: checksumField) == checksum else { return .wrongChecksum }
        return .footer(try VHDFooter(padded))
    }

    init(_ bytes: [UInt8]) throws(OutOfBounds) {
        self.bytes = bytes
        let span = bytes.span.bytes
        features = try span.bigEndian(UInt32.self, at: 8)
        version = try span.bigEndian(UInt32.self, at: 12)
        dataOffset = try span.bigEndian(UInt64.self, at: 16)
        timestamp = try span.bigEndian(UInt32.self, at: 24)
        creator = try span.bigEndian(UInt32.self, at: 28)
        currentSize = try span.bigEndian(UInt64.self, at: 48)
        diskGeometry = DiskGeometry(
            cylinders: try span.bigEndian(UInt16.self, at: 56),
            heads: try span.bigEndian(UInt8.self, at: 58),
            sectorsPerTrack: try span.bigEndian(UInt8.self, at: 59)
        )
        type = try span.bigEndian(UInt32.self, at: 60)
        uniqueID = try GUID(bigEndian: span, at: 68)
        savedState = try span.bigEndian(UInt8.self, at: 84)
    }

    /// Whether `other` describes the same disk: it may have another time, and be in another state.
    func describesSameDisk(as other: VHDFooter) -> Bool {
        type == other.type && uniqueID == other.uniqueID && dataOffset == other.dataOffset
            && currentSize == other.currentSize
    }

    /// The same footer with another time.
    func with(timestamp: UInt32) throws(OutOfBounds) -> VHDFooter {
        try with { $0.set(timestamp, at: 24) }
    }

    /// The same footer of a disk with another identity.
    func with(uniqueID: GUID) throws(OutOfBounds) -> VHDFooter {
        try with { $0.set(uniqueID, at: 68) }
    }

    private func with(_ change: (inout BigEndianBytes) -> Void) throws(OutOfBounds) -> VHDFooter {
        var changed = BigEndianBytes(bytes)
        change(&changed)
        try changed.setChecksum(at: Self.checksumField)
        return try VHDFooter(changed.bytes)
    }
}

/// The footer that counts.
struct VHDCurrentFooter {
    var footer: VHDFooter
    /// Where the footer at the file's end begins; nil where that is damaged and the copy at the file's start is used.
    var end: UInt64?

    /// The footer at the end, or where that is missing or damaged the copy at the start: "If the checksum verification
    /// fails, the Virtual PC and Virtual Server products will instead use the header."
    ///
    /// A fixed disk has no copy: its first bytes are its user's, and are not looked at. A disk with a copy that is another
    /// disk's was cut off where its content has the end of a VHD file, and is refused.
    ///
    /// - Throws: `corrupt` where there is no footer, or where the two are not of the same disk; `readFailed`.
    static func read(from file: ImageFile) throws(ImageError) -> VHDCurrentFooter {
        var problem = file.corrupt(
            "The file has no footer, or its end is missing.",
            at: file.size,
            detailCode: VHDDetailCode.footerMissing
        )
        for length in [VHDFormat.footerLength, VHDFormat.legacyFooterLength] where file.size >= length {
            let offset = file.size - length
            switch try reading(of: file, at: offset, length: length) {
            case .missing: continue
            case .wrongChecksum:
                problem = file.corrupt(
                    "The footer's checksum is wrong.",
                    at: offset,
                    detailCode: VHDDetailCode.footerChecksum
                )
            case .footer(let footer):
                let current = VHDCurrentFooter(footer: footer, end: offset)
                guard footer.type != VHDFooter.DiskType.fixed.rawValue, let copy = try copy(in: file),
                    !copy.describesSameDisk(as: footer)
                else { return current }
                throw file.corrupt(
                    "The footer and its copy at the start of the file are of different disks.",
                    at: offset,
                    detailCode: VHDDetailCode.footerCorrupt
                )
            }
        }
        guard let copy = try copy(in: file) else { throw problem }
        return VHDCurrentFooter(footer: copy, end: nil)
    }

    /// The copy at the file's start; nil where it is missing or damaged, or could be a fixed disk's content.
    static func copy(in file: ImageFile) throws(ImageError) -> VHDFooter? {
        guard file.size >= VHDFormat.footerLength,
            case .footer(let copy) = try reading(of: file, at: 0, length: VHDFormat.footerLength),
            copy.type != VHDFooter.DiskType.fixed.rawValue
        else { return nil }
        return copy
    }

    private static func reading(
        of file: ImageFile,
        at offset: UInt64,
        length: UInt64
    ) throws(ImageError) -> VHDFooter.Reading {
        let bytes = try file.bytes(at: offset, count: Int(length))
        do { return try VHDFooter.read(bytes) } catch { throw file.corrupt("Footer: \(error).", at: offset) }
    }
}

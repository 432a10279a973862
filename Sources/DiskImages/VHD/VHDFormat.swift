internal import ByteReading

/// The numbers of the VHD format that several structures share (Virtual Hard Disk Image Format Specification 1.0, October
/// 2006). All of a file's numbers are stored most significant byte first.
enum VHDFormat {
    static let sectorSize: UInt64 = 512
    static let sectorShift: UInt64 = 9

    static let footerLength: UInt64 = 512
    /// What Virtual PC wrote before 2004.
    static let legacyFooterLength: UInt64 = 511
    static let headerLength: UInt64 = 1_024

    /// "conectix", the first field of a footer.
    static let footerCookie: UInt64 = 0x636F_6E65_6374_6978
    /// "cxsparse", the first field of a dynamic disk header.
    static let headerCookie: UInt64 = 0x6378_7370_6172_7365
    static let version: UInt32 = 0x0001_0000

    static let maximumVirtualSize: UInt64 = 2_040 << 30
    /// Powers of two. The specification names no limits; real files have 512 KiB and 2 MiB.
    static let blockSizes: ClosedRange<UInt32> = 512...1 << 28
    /// What an entry of the block allocation table has for a block that is not in the file.
    static let absentBlock: UInt32 = 0xFFFF_FFFF

    /// The one's complement of the sum of all bytes but those of the checksum itself, four bytes at `field`.
    static func checksum(_ bytes: RawSpan, field: Int) throws(OutOfBounds) -> UInt32 {
        // A structure has at most 1,024 bytes: the sum cannot overflow.
        var sum: UInt32 = 0
        for index in 0..<bytes.byteCount where index < field || index >= field + 4 {
            sum += UInt32(try bytes.bigEndian(UInt8.self, at: index))
        }
        return ~sum
    }
}

/// The Win32 error codes that are more telling than "the file is corrupt" (winerror.h, ERROR_VHD_…).
enum VHDDetailCode {
    static let footerMissing: UInt32 = 0xC03A_0001
    static let footerChecksum: UInt32 = 0xC03A_0002
    static let footerCorrupt: UInt32 = 0xC03A_0003
    static let unsupportedVersion: UInt32 = 0xC03A_0005
    static let headerChecksum: UInt32 = 0xC03A_0006
    static let headerUnsupportedVersion: UInt32 = 0xC03A_0007
    static let headerCorrupt: UInt32 = 0xC03A_0008
    static let blockTableCorrupt: UInt32 = 0xC03A_000A
    static let invalidBlockSize: UInt32 = 0xC03A_000B
    static let invalidType: UInt32 = 0xC03A_001B
    static let invalidState: UInt32 = 0xC03A_001C
}

extension GUID {
    /// A GUID as VHD files store it: in the order of the text. The specification calls it a universally unique identifier
    /// and, as for every other number, means most significant byte first.
    init(bigEndian bytes: RawSpan, at offset: Int) throws(OutOfBounds) {
        self.init(
            high: try bytes.bigEndian(UInt64.self, at: offset),
            low: try bytes.bigEndian(UInt64.self, at: offset + 8)
        )
    }
}

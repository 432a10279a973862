/// The numbers of [MS-VHDX] that several structures share.
enum VHDXFormat {
    static let kibibyte: UInt64 = 1 << 10
    /// The unit in which everything is placed in the file, and the length of the header section.
    static let mebibyte: UInt64 = 1 << 20

    /// The eight bytes at the file's start (2.2.1), as a little-endian number: "vhdxfile".
    static let fileIdentifier: UInt64 = 0x656C_6966_7864_6876
    static let headerOffsets: [UInt64] = [64 * kibibyte, 128 * kibibyte]
    static let regionTableOffsets: [UInt64] = [192 * kibibyte, 256 * kibibyte]
    static let headerSectionLength = mebibyte

    static let maximumVirtualSize: UInt64 = 64 << 40
    /// No disk needs a longer file, even if blocks lie in it that are lost.
    static let maximumFileSize = 2 * maximumVirtualSize
    static let blockSizes: ClosedRange<UInt32> = 1 << 20...1 << 28
    /// In bytes: a sector bitmap block has a bit for each of 2^23 sectors (2.4).
    static let bitmapBlockLength = mebibyte
}

/// The Win32 error codes that are more telling than "the file is corrupt" (winerror.h).
enum VHDXDetailCode {
    static let unsupportedVersion: UInt32 = 0xC03A_0005
    static let blockTableCorrupt: UInt32 = 0xC03A_000A
    static let bitmapMismatch: UInt32 = 0xC03A_000C
}

/// The numbers of the qcow2 specification (QEMU's docs/interop/qcow2) that several structures share, and the limits that
/// QEMU sets where the specification sets none.
enum Qcow2Format {
    /// In bits. QEMU makes and reads no larger clusters than 2 MiB.
    static let clusterBits: ClosedRange<UInt32> = 9...21
    /// Clusters with subclusters cannot be smaller: a subcluster would be less than a sector.
    static let smallestClusterBitsWithSubclusters: UInt32 = 14
    /// A cluster is cut into 32 subclusters.
    static let subclusterBits: UInt64 = 5

    static let maximumL1Entries: UInt64 = 4 << 20
    static let maximumSnapshots: UInt32 = 65_536
    static let maximumBitmaps: UInt32 = 65_535
    static let maximumNameLength: UInt32 = 1_023
    static let maximumBitmapTableEntries: UInt32 = 0x800_0000
    /// In bits. QEMU makes and reads no other bitmaps.
    static let granularityBits: ClosedRange<UInt8> = 9...31

    /// This program's own limits for the snapshot table and for the bitmap directory: all entries are kept in memory, and a
    /// byte of a name that is not UTF-8 takes three there. The length, in bytes, is several times what so many entries take
    /// with names of ordinary length.
    static let maximumDirectoryLength: UInt64 = 4 << 20
    static let maximumDirectoryEntries: UInt32 = 8_192

    /// Bits 9 to 55, by which every table entry places something in the file.
    static let offsetMask: UInt64 = 0x00FF_FFFF_FFFF_FE00
    /// "There is no other reference to this": of no concern to a reader, and not accurate in snapshots.
    static let copied: UInt64 = 1 << 63

    /// Bits of `incompatible_features`.
    enum Incompatible {
        static let dirty: UInt64 = 1 << 0
        static let corrupt: UInt64 = 1 << 1
        static let externalDataFile: UInt64 = 1 << 2
        static let compressionType: UInt64 = 1 << 3
        static let extendedL2: UInt64 = 1 << 4
        static let known = dirty | corrupt | externalDataFile | compressionType | extendedL2
    }

    /// Bits of `autoclear_features`.
    enum Autoclear {
        static let bitmaps: UInt64 = 1 << 0
        static let rawExternalData: UInt64 = 1 << 1
    }
}

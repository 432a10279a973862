/// How a virtual disk is cut into clusters, and the clusters into L2 tables.
///
/// All divisors are powers of two. A size is accepted only where an L1 table of allowed length can cover it: at most 2^61
/// bytes, so that no sum or shift here can overflow.
struct Qcow2Geometry: Equatable {
    let virtualSize: UInt64
    let clusterBits: UInt64
    let hasSubclusters: Bool

    /// Nil where no L1 table of allowed length can cover the disk.
    init?(virtualSize: UInt64, clusterBits: UInt32, hasSubclusters: Bool) {
        self.virtualSize = virtualSize
        self.clusterBits = UInt64(clusterBits)
        self.hasSubclusters = hasSubclusters
        guard virtualSize == 0 || (virtualSize - 1) >> l1Bits < Qcow2Format.maximumL1Entries else { return nil }
    }

    var clusterSize: UInt64 { 1 << clusterBits }
    /// An entry has 8 bytes, or 16 with subclusters.
    var wordsPerEntryBits: UInt64 { hasSubclusters ? 1 : 0 }
    /// How many clusters an L2 table, itself a cluster, describes, as a power of two.
    var l2Bits: UInt64 { clusterBits - 3 - wordsPerEntryBits }
    /// How many bytes an L1 entry stands for, as a power of two.
    var l1Bits: UInt64 { clusterBits + l2Bits }
    /// The smallest piece that is told apart: a subcluster, or a cluster that has none.
    var unitBits: UInt64 { clusterBits - (hasSubclusters ? Qcow2Format.subclusterBits : 0) }

    var clusterCount: UInt64 { virtualSize == 0 ? 0 : (virtualSize - 1) >> clusterBits + 1 }
    /// How many L1 entries the disk needs.
    var l1Count: UInt64 { virtualSize == 0 ? 0 : (virtualSize - 1) >> l1Bits + 1 }
}

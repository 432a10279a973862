/// What an entry of an L2 table of one file must keep to.
struct Qcow2EntryRules {
    let geometry: Qcow2Geometry
    let version: UInt32
    /// In bytes: of the file with the compressed clusters.
    let fileSize: UInt64
    /// In bytes: of the file with the standard clusters.
    let dataSize: UInt64
    let hasExternalData: Bool

    /// Whether a standard cluster has a place in the file. Place 0 is one only in an external data file, where the mark of an
    /// only reference then tells it from none.
    func hasPlace(_ entry: Qcow2Entry) -> Bool {
        entry.offset != 0 || hasExternalData && entry.isCopied
    }

    /// What is wrong with the entry of cluster `index`, inside the disk where it has one, as the rest of a sentence; nil where nothing is.
    func problem(with entry: Qcow2Entry, cluster index: UInt64) -> String? {
        if entry == .unallocated { return nil }
        return entry.isCompressed ? problem(withCompressed: entry) : problem(withStandard: entry, cluster: index)
    }

    private func problem(withCompressed entry: Qcow2Entry) -> String? {
        if hasExternalData { return "is compressed, and the disk's data is in another file" }
        if entry.isCopied { return "is compressed and has a mark that only other clusters have" }
        // The rest of the descriptor is the number of sectors that follow the one with the offset.
        let offsetBits = 70 - geometry.clusterBits
        let offset = entry.descriptor & ((1 << offsetBits) - 1)
        let further = (entry.descriptor & ((1 << 62) - 1)) >> offsetBits
        let end = (offset >> 9 + further + 1) << 9
        // The last sectors need not be in the file as a whole. QEMU, too, lets less than a cluster be missing.
        if offset >= fileSize || end >= fileSize + geometry.clusterSize {
            return "is said to lie at offset \(offset), beyond the end of the file"
        }
        if entry.subclusters != 0 { return "is compressed and has subclusters" }
        return nil
    }

    private func problem(withStandard entry: Qcow2Entry, cluster index: UInt64) -> String? {
        if entry.hasReservedBits { return "has reserved bits in its entry" }
        if entry.hasZeroFlag && (version < 3 || geometry.hasSubclusters) {
            return "has the mark of a cluster of zeroes, which this file cannot have"
        }
        if entry.offset % geometry.clusterSize != 0 {
            return "is said to lie at offset \(entry.offset), where no cluster begins"
        }
        let parts: UInt64
        if geometry.hasSubclusters {
            let data = entry.subclusters & 0xFFFF_FFFF
            if data & entry.subclusters >> 32 != 0 { return "has subclusters that are data and zeroes at once" }
            if data != 0 && !hasPlace(entry) { return "has data, and no place" }
            // A data file may end with the disk, and the parts behind that are still marked.
            let inside = (geometry.virtualSize - index << geometry.clusterBits - 1) >> geometry.unitBits + 1
            parts = data == 0 ? 0 : min(UInt64(64 - data.leadingZeroBitCount), inside)
        } else {
            parts = entry.hasZeroFlag || !hasPlace(entry) ? 0 : 1
        }
        guard hasPlace(entry) else { return nil }
        if hasExternalData && entry.offset != index << geometry.clusterBits {
            return "is said to lie at offset \(entry.offset) of the data file, which is not its own"
        }
        // A file may end inside its last cluster: what was never written there reads as zeroes. A cluster that is kept for
        // later, of zeroes or preallocated, begins in the file all the same.
        if entry.offset + (max(parts, 1) - 1) << geometry.unitBits >= dataSize {
            return "is said to lie at offset \(entry.offset), beyond the end of the file"
        }
        return nil
    }
}

/// What changed in the file between two states of the disk, both of which are still in it.
///
/// A cluster that a snapshot refers to is never written over: what is written later goes elsewhere. So a cluster whose entry
/// is the same in both states is unchanged, and so are all clusters of an L2 table that both share, which is not even read.
/// The others are as the later state has them, and are told whole: less of them may differ.
final class Qcow2ComparisonMap: Qcow2ClusterMap {
    var source: Qcow2Comparison
    let file: ImageFile

    init(earlier: Qcow2ClusterTables, later: Qcow2ClusterTables, hasBackingFile: Bool) {
        source = Qcow2Comparison(earlier: earlier, later: later, hasBackingFile: hasBackingFile)
        file = later.file
    }
}

/// The clusters that differ between two states. The earlier disk may be shorter: what lies beyond its end was added, and
/// counts as changed. The file may hold something there nevertheless, such as the state of a virtual machine.
struct Qcow2Comparison: Qcow2ClusterSource {
    var earlier: Qcow2ClusterTables
    var later: Qcow2ClusterTables
    let hasBackingFile: Bool

    var geometry: Qcow2Geometry { later.rules.geometry }
    /// In bytes.
    private var earlierSize: UInt64 { earlier.rules.geometry.virtualSize }

    mutating func load(_ index: UInt64) throws(ImageError) -> Qcow2Stretch {
        let table = index >> geometry.l2Bits
        let offset = try later.l2Offset(table)
        if try earlier.l2Offset(table) == offset, isInBoth(table) {
            var next = table + 1
            while let offset = later.loadedL2Offset(next), offset == earlier.loadedL2Offset(next), isInBoth(next) {
                next += 1
            }
            return .uniform(.absent, end: next << geometry.l2Bits)
        }
        if offset == 0, table << geometry.l1Bits >= earlierSize {
            var next = table + 1
            while later.loadedL2Offset(next) == 0 { next += 1 }
            return .uniform(hasBackingFile ? .data : .unmapped, end: next << geometry.l2Bits)
        }
        return .ready(end: min(try earlier.load(index), try later.load(index)))
    }

    /// Whether all that an L1 entry stands for was there in the earlier state.
    private func isInBoth(_ table: UInt64) -> Bool {
        min((table + 1) << geometry.l1Bits, geometry.virtualSize) <= earlierSize
    }

    func content(ofCluster index: UInt64) -> Qcow2Content? {
        guard let new = later.cluster(index), let old = earlier.cluster(index) else { return nil }
        return new.changes(since: old, added: addedParts(ofCluster: index), hasBackingFile: hasBackingFile)
    }

    /// The parts of a cluster that were not there, or not as a whole, in the earlier state.
    private func addedParts(ofCluster index: UInt64) -> UInt32 {
        let start = index << geometry.clusterBits
        guard min(start + geometry.clusterSize, geometry.virtualSize) > earlierSize else { return 0 }
        return start < earlierSize ? .max << ((earlierSize - start) >> geometry.unitBits) : .max
    }

    func damage(ofCluster index: UInt64) -> ImageError {
        later.damage(of: index) ?? earlier.damage(of: index) ?? later.file.corrupt("Cluster \(index) is damaged.")
    }
}

/// What the file alone holds in one state of the disk: now, or at an internal snapshot.
final class Qcow2StateMap: Qcow2ClusterMap {
    var source: Qcow2State
    let file: ImageFile

    init(_ tables: Qcow2ClusterTables) {
        source = Qcow2State(tables: tables)
        file = tables.file
    }
}

/// The clusters of one state of the disk.
struct Qcow2State: Qcow2ClusterSource {
    var tables: Qcow2ClusterTables

    var geometry: Qcow2Geometry { tables.rules.geometry }

    mutating func load(_ index: UInt64) throws(ImageError) -> Qcow2Stretch {
        let table = index >> geometry.l2Bits
        guard try tables.l2Offset(table) == 0 else { return .ready(end: try tables.load(index)) }
        var next = table + 1
        while tables.loadedL2Offset(next) == 0 { next += 1 }
        return .uniform(.absent, end: next << geometry.l2Bits)
    }

    func content(ofCluster index: UInt64) -> Qcow2Content? {
        tables.cluster(index).map { Qcow2Content(data: $0.data, zeroes: $0.zeroes) }
    }

    func damage(ofCluster index: UInt64) -> ImageError {
        tables.damage(of: index) ?? tables.file.corrupt("Cluster \(index) is damaged.")
    }
}

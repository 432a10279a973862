/// What the file alone holds in one state of the disk: now, or at an internal snapshot.
final class Qcow2StateMap: SectorMap {
    private var source: Qcow2State
    private let file: ImageFile

    init(_ tables: Qcow2ClusterTables) {
        source = Qcow2State(tables: tables)
        file = tables.file
    }

    var size: UInt64 { source.geometry.virtualSize }
    var sectorSize: UInt32 { 512 }
    var granularity: UInt64 { 1 << source.geometry.unitBits }

    func extent(
        at offset: UInt64,
        limit: UInt64,
        into mask: inout SectorMask
    ) throws(ImageError) -> LayerExtent {
        let limit = try file.checkedLimit(offset: offset, limit: limit, size: size)
        return try source.extent(at: offset, limit: limit, into: &mask)
    }
}

/// The clusters of one state of the disk.
private struct Qcow2State: Qcow2ClusterSource {
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

extension ImageFile {
    /// `limit`, but not beyond a disk of `size` bytes.
    ///
    /// - Throws: `invalidParameter` where `offset` and `limit` are none that `SectorMap.extent` takes.
    func checkedLimit(offset: UInt64, limit: UInt64, size: UInt64) throws(ImageError) -> UInt64 {
        let limit = min(limit, size)
        guard offset < limit, offset % (64 * 512) == 0, limit % (64 * 512) == 0 || limit == size else {
            throw error(.invalidParameter, "The bytes \(offset) to \(limit) are no window of the disk.")
        }
        return limit
    }
}

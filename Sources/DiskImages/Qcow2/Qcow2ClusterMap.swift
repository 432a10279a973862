/// A map whose extents are made of what its source says of each cluster.
///
/// A protocol and no generic class: so the compiler makes the walk over the clusters for each source by itself.
protocol Qcow2ClusterMap: SectorMap {
    associatedtype Source: Qcow2ClusterSource

    var source: Source { get set }
    /// The file that errors are about.
    var file: ImageFile { get }
}

extension Qcow2ClusterMap {
    var size: UInt64 { source.geometry.virtualSize }
    var sectorSize: UInt32 { 512 }
    var granularity: UInt64 { 1 << source.geometry.unitBits }

    func extent(
        at offset: UInt64,
        limit: UInt64,
        into mask: inout SectorMask
    ) throws(ImageError) -> LayerExtent {
        let limit = try checkedLimit(limit, from: offset, of: file)
        return try source.extent(at: offset, limit: limit, into: &mask)
    }
}

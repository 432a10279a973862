internal import DiskImages

/// A map that says of every sector that it holds data: for a question that is answered with the whole disk.
final class EverythingMap: SectorMap {
    let size: UInt64
    let sectorSize: UInt32

    init(size: UInt64, sectorSize: UInt32) {
        self.size = size
        self.sectorSize = sectorSize
    }

    var granularity: UInt64 { UInt64(sectorSize) }

    func extent(at offset: UInt64, limit: UInt64, into mask: inout SectorMask) throws(ImageError) -> LayerExtent {
        .uniform(.data, end: limit)
    }
}

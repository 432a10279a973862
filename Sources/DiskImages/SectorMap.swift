/// What a stretch of a virtual disk holds, sector by sector: a layer of a chain, or something a layer has recorded.
///
/// It is walked over piece by piece as a question comes to it, and read from metadata alone. It knows nothing of what lies
/// below it, and nothing of the question. A map is used by one task at a time.
public protocol SectorMap: AnyObject {
    /// The size of the virtual disk in bytes.
    var size: UInt64 { get }

    /// The logical sector in bytes: 512 or 4096.
    var sectorSize: UInt32 { get }

    /// The smallest piece, in bytes, that the map can tell apart: a power-of-two multiple of the sector. All its boundaries
    /// are multiples of it, the disk's very end aside.
    var granularity: UInt64 { get }

    /// What the map says from `offset` on.
    ///
    /// - Parameters:
    ///   - offset: where to start, in bytes of the virtual disk: below its size, and a multiple of 64 logical sectors.
    ///   - limit: where the caller stops being interested: above `offset`, and either a multiple of 64 logical sectors or
    ///     the disk's size. Structures that only concern bytes at or above `limit` are not read.
    ///   - mask: where a `mixed` extent is described. It may be overwritten in any case.
    /// - Returns: an extent that ends above `offset` and not above `limit`, on a multiple of 64 logical sectors or at the
    ///   disk's size. A uniform extent may end before the content changes (the work of one call is bounded); the caller
    ///   asks again from its end.
    /// - Throws: `ImageError` where a structure is damaged or cannot be read.
    func extent(at offset: UInt64, limit: UInt64, into mask: inout SectorMask) throws(ImageError) -> LayerExtent
}

/// What a map says of a run of bytes.
public enum LayerExtent: Equatable, Sendable {
    /// All sectors up to `end` have the same content.
    case uniform(SectorContent, end: UInt64)

    /// The sectors up to `end` differ, and the mask tells of each, counted from the offset asked about, whether it is
    /// `data`, `unmapped` or `absent`. Not longer than `SectorMask.capacity` sectors.
    case mixed(end: UInt64)
}

/// What one layer says of a sector.
public enum SectorContent: Hashable, Sendable {
    /// Nothing: the layers below decide. Where there is none below, the sector reads as zeroes.
    case absent
    /// The sector's bytes are in this file.
    case data
    /// The sector reads as zeroes, and a child made later may have inherited that state (VHDX's ZERO).
    case zero
    /// The sector reads as zeroes because somebody wrote them or discarded what was there (VHDX's UNMAPPED, the zero
    /// clusters of qcow2); no child inherits that.
    case unmapped
}

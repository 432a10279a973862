/// One file of a chain, open for reading: what every format implements.
///
/// An image says two things. What it *is* (`description`), read when it is opened; and what it *holds*
/// (`extent(at:limit:into:)`), read piece by piece as a question walks over the disk. It knows nothing of its parent but
/// the reference it stores, and nothing of the question.
///
/// An image is used by one task at a time.
public protocol DiskImage: AnyObject {
    /// What the image is. It does not change while the image is open.
    var description: ImageDescription { get }

    /// The file that was opened.
    var file: ImageFile { get }

    /// What this file alone holds from `offset` on.
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

/// What a layer holds over a run of bytes.
public enum LayerExtent: Equatable, Sendable {
    /// All sectors up to `end` have the same content.
    case uniform(SectorContent, end: UInt64)

    /// The sectors up to `end` differ: bit `i` of the mask is set where sector `i`, counted from the offset asked about,
    /// holds `data`, and clear where it is `absent`. Not longer than `SectorMask.capacity` sectors.
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
    /// The sector reads as zeroes because it was discarded (VHDX's UNMAPPED); no child inherits that.
    case unmapped
}

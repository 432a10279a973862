extension SectorMap {
    /// `limit`, but not beyond the disk's end: where a question to `extent` ends.
    ///
    /// - Parameter file: the file to name in the error.
    /// - Throws: `invalidParameter` where `offset` and `limit` are none that `extent` takes.
    func checkedLimit(_ limit: UInt64, from offset: UInt64, of file: ImageFile) throws(ImageError) -> UInt64 {
        let size = size
        let limit = min(limit, size)
        let alignment = 64 * UInt64(sectorSize)
        guard offset < limit, offset % alignment == 0, limit % alignment == 0 || limit == size else {
            throw file.error(.invalidParameter, "The bytes \(offset) to \(limit) are no window of the disk.")
        }
        return limit
    }
}

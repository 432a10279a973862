internal import Glibc

extension ImageFile {
    // lseek(2); the C library declares them only where GNU extensions are asked for.
    private static let seekData: Int32 = 3
    private static let seekHole: Int32 = 4

    /// The first run between `start` and `end` that the file system keeps data for; nil where there is a hole only.
    ///
    /// A file system that knows no holes says that all is data. The runs of one file ascend and do not touch, but for a
    /// file system that tells one run in pieces.
    ///
    /// - Throws: `readFailed`.
    func dataRun(from start: UInt64, to end: UInt64) throws(ImageError) -> Range<UInt64>? {
        guard start < end else { return nil }
        guard let data = try seek(Self.seekData, from: start, orElse: start), data < end else { return nil }
        // There is always a hole behind the end of the file. None means that the file became shorter meanwhile.
        let hole = try seek(Self.seekHole, from: max(data, start), orElse: end) ?? end
        let run = max(data, start)..<min(max(hole, data + 1), end)
        return run.isEmpty ? nil : run
    }

    /// Where the next data or hole from `offset` on is; nil where there is none; `fallback` where the file system cannot
    /// tell.
    private func seek(_ what: Int32, from offset: UInt64, orElse fallback: UInt64) throws(ImageError) -> UInt64? {
        guard let start = off_t(exactly: offset) else { return nil }
        // Every read of this file names its offset, so the position that this moves means nothing to anybody.
        let found = lseek(descriptor, start, what)
        if found >= 0 { return UInt64(found) }
        switch errno {
        case ENXIO: return nil
        case EINVAL, EOPNOTSUPP: return fallback
        default:
            throw error(.readFailed, "The allocation cannot be read: \(systemMessage(errno)).", at: offset)
        }
    }
}

internal import Glibc

extension ImageFile {
    /// Whether the file is still as it was when it was opened, as far as its size and its times tell.
    ///
    /// A writer that keeps the file open and its times unchanged is not noticed.
    public func isUnchanged() throws(ImageError) -> Bool {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            throw error(.readFailed, "The file cannot be examined: \(systemMessage(errno)).")
        }
        return UInt64(clamping: status.st_size) == size && Self.modificationTime(of: status) == modificationTime
    }

    static func modificationTime(of status: stat) -> Int64 {
        Int64(status.st_mtim.tv_sec) &* 1_000_000_000 &+ Int64(status.st_mtim.tv_nsec)
    }
}

internal import Glibc

extension ImageFile {
    /// Whether the file is still as it was when it was opened, as far as its size and its times tell.
    ///
    /// They tell of every change only if nobody was writing to the file when it was opened: ``rest``.
    public func isUnchanged() throws(ImageError) -> Bool {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            throw error(.readFailed, "The file cannot be examined: \(systemMessage(errno)).")
        }
        return UInt64(clamping: status.st_size) == size && Self.nanoseconds(status.st_mtim) == modificationTime
            && Self.nanoseconds(status.st_ctim) == changeTime
    }

    /// Whether a file that was changed at `time` may be changed once more without another time, by the clock `now`.
    ///
    /// A time that is far ahead is that of another machine's clock, and tells nothing. What a program says of a file's
    /// modification does not matter: the system notes every change by itself.
    static func isFresh(changedAt time: Int64, at now: Int64) -> Bool {
        time >= now && time &- now < 1_000_000_000
    }

    static func nanoseconds(_ time: timespec) -> Int64 {
        Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }

    /// The time that a file of this machine would get which is changed now. It moves in steps of some milliseconds.
    static var fileClock: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME_COARSE, &time)
        return nanoseconds(time)
    }
}

/// A symbolic link that was followed to a file: what tells it from another that took its place, also from one that leads to the
/// same.
public struct LinkStamp: Hashable, Sendable {
    private let identity: ImageFile.Identity
    /// When it was made, or got its name, in nanoseconds since 1970.
    let changeTime: Int64

    /// - Parameters:
    ///   - device, inode: as `stat` tells them.
    ///   - changeTime: in nanoseconds since 1970.
    public init(device: UInt64, inode: UInt64, changeTime: Int64) {
        identity = ImageFile.Identity(device: device, inode: inode)
        self.changeTime = changeTime
    }

    /// Whether it may have been made at `start` or later. A time that is ahead of the clock by more than a second is that of another
    /// machine's, and tells nothing.
    func isMade(since start: Int64, now: Int64) -> Bool {
        changeTime >= start && changeTime &- now < 1_000_000_000
    }
}

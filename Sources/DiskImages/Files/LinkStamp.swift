/// A symbolic link that was followed to a file: what tells it from another that took its place, also from one that leads to the
/// same.
public struct LinkStamp: Hashable, Sendable {
    private let identity: ImageFile.Identity
    private let changeTime: Int64

    /// - Parameters:
    ///   - device, inode: as `stat` tells them.
    ///   - changeTime: in nanoseconds since 1970.
    public init(device: UInt64, inode: UInt64, changeTime: Int64) {
        identity = ImageFile.Identity(device: device, inode: inode)
        self.changeTime = changeTime
    }
}

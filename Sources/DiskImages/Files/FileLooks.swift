internal import Synchronization

/// When files were first seen in the state that they have: what shows that they are at rest if nothing proves it.
///
/// A file whose size and times were the same at two looks that lie ``interval`` apart, and that was opened at the second look or
/// later, is taken for one at rest. The clock is this machine's own and never set; a file system that keeps times in steps of up
/// to two seconds has made a step between the looks, so that the next change shows. What remains is a single write that takes
/// longer than that, and a change on another machine that its file system has not told of yet.
public final class FileLooks: Sendable {
    /// How far apart the two looks are.
    public static let interval = Duration.seconds(2)

    /// The most files that are remembered. What is forgotten is looked at twice again.
    private static let maximumCount = 65_536

    private struct Look {
        let stamp: FileStamp
        let time: ContinuousClock.Instant
    }

    /// The first look at the state in which a file was seen last.
    private let looks = Mutex<[ImageFile.Identity: Look]>([:])

    public init() {}

    /// Looks at a file.
    ///
    /// - Returns: nil if it was at rest when it was opened; else how long to wait until it may be opened once more.
    public func look(at file: ImageFile) -> Duration? {
        look(at: file.identity, FileStamp(file), openedAt: file.openedAt)
    }

    func look(
        at identity: ImageFile.Identity,
        _ stamp: FileStamp,
        openedAt time: ContinuousClock.Instant
    ) -> Duration? {
        looks.withLock { looks in
            if let first = looks[identity], first.stamp == stamp, first.time <= time {
                let passed = time - first.time
                return passed >= Self.interval ? nil : Self.interval - passed
            }
            if looks.count >= Self.maximumCount { looks.removeAll() }
            looks[identity] = Look(stamp: stamp, time: time)
            return Self.interval
        }
    }
}

/// One file of a chain, open for reading: what every format implements.
///
/// An image says what it *is* (`description`), read when it is opened, and as a `SectorMap` what it *holds*. A format whose
/// files record points of their own past (dirty bitmaps, internal snapshots) also tells those, and what changed since each.
/// An image knows nothing of its parent but the reference it stores.
public protocol DiskImage: SectorMap {
    /// What the image is. It does not change while the image is open.
    var description: ImageDescription { get }

    /// The file that was opened.
    var file: ImageFile { get }

    /// Files beside `file` that hold a part of the image. A change of one of them is a change of the image.
    var furtherFiles: [ImageFile] { get }

    /// Whether the headers, by which the format tells of a change, are what they were when the image was opened. They are read
    /// again.
    ///
    /// - Throws: `readFailed`; `corrupt` where the file has become shorter.
    func hasSameHeaders() throws(ImageError) -> Bool

    /// Of the blocks whose successor on the disk is in the file as well, the part that it does not follow there, in percent,
    /// rounded up; nil where the format does not lay out the disk in blocks of its own. It reads the whole block table.
    func fragmentationPercentage() throws(ImageError) -> UInt32?

    /// The points of its past that the file itself has recorded, oldest first.
    var recordedPoints: [RecordedPoint] { get }

    /// What this file alone held at a recorded snapshot.
    ///
    /// - Throws: `invalidParameter` where `snapshot` is not a snapshot of this image; what reading a damaged one throws.
    func state(at snapshot: RecordedPoint) throws(ImageError) -> any SectorMap

    /// What changed in this file since `point`, up to `snapshot` or, where that is nil, up to now.
    ///
    /// In the map that is returned, `absent` means unchanged. It is as long as the disk is at the later of the two points.
    ///
    /// - Throws: `invalidParameter` where the points are not of this image or `snapshot` is no snapshot; what reading
    ///   damaged structures throws.
    func changes(since point: RecordedPoint, upTo snapshot: RecordedPoint?) throws(ImageError) -> any SectorMap
}

/// What holds for a format that records nothing and keeps everything in one file.
extension DiskImage {
    public var size: UInt64 { description.virtualSize }
    public var sectorSize: UInt32 { description.logicalSectorSize }
    public var granularity: UInt64 { UInt64(description.logicalSectorSize) }
    public var furtherFiles: [ImageFile] { [] }
    public func hasSameHeaders() throws(ImageError) -> Bool { true }
    public func fragmentationPercentage() throws(ImageError) -> UInt32? { nil }
    public var recordedPoints: [RecordedPoint] { [] }

    public func state(at snapshot: RecordedPoint) throws(ImageError) -> any SectorMap {
        throw file.error(.invalidParameter, "This file has recorded no snapshots.")
    }

    public func changes(
        since point: RecordedPoint,
        upTo snapshot: RecordedPoint?
    ) throws(ImageError) -> any SectorMap {
        throw file.error(.invalidParameter, "This file has recorded no points of its past.")
    }
}

extension DiskImage {
    /// The file that was opened, and those that hold a part of the image beside it.
    public var files: [ImageFile] { [file] + furtherFiles }

    /// Whether the image is still what it was when it was opened, as far as its files' sizes and times and its headers tell.
    ///
    /// False also where it cannot be looked at: a file that is being written may be in any state.
    public var isUnchanged: Bool {
        do throws(ImageError) {
            guard try file.isUnchanged(), try hasSameHeaders() else { return false }
            for further in furtherFiles where try !further.isUnchanged() { return false }
            return true
        } catch {
            return false
        }
    }

    /// Whether one of its files was changed so shortly before it was opened that the next change may not show.
    public var isFresh: Bool { file.isFresh || furtherFiles.contains(where: \.isFresh) }
}

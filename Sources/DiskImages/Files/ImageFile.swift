internal import Glibc

/// A regular file that is open for reading: what every image format reads from.
///
/// The file's size is that of the moment it was opened, and no read goes beyond it. Reads name their offset and change
/// no state, so a file may be shared; the descriptor is closed when the last reference goes.
public final class ImageFile: StructureFile {
    /// What tells one file of this machine from another, whatever its name.
    public struct Identity: Hashable, Sendable {
        public let device: UInt64
        public let inode: UInt64
    }

    /// The most bytes that one structure of a file may have to be read as a whole.
    static let maximumStructureLength = 1 << 20

    /// The file as the user names it: what messages and answers show.
    public let name: String
    /// The path on this machine, against whose folder relative parents are resolved.
    public let path: String
    /// In bytes, when the file was opened.
    public let size: UInt64
    public let identity: Identity
    /// In nanoseconds since 1970, when the file was opened.
    public let modificationTime: Int64
    /// When the system last noted a change of the file or of what it keeps about it, in nanoseconds since 1970, as it was when
    /// the file was opened. No program can set it back.
    public let changeTime: Int64
    /// Whether the file was changed so shortly before it was opened that the next change may have the same times. What is read
    /// from it then cannot be told from what is read after that change.
    public let isFresh: Bool
    /// The folder in which it was opened; nil if that is not known.
    public let folder: Folder?
    /// The symbolic links that led to it, as far as they were followed one by one.
    let links: [LinkStamp]
    /// When it was opened: before its times were noted and anything was read.
    let openedAt = ContinuousClock.now

    let descriptor: Int32
    private let standing: Standing

    /// Takes over an open descriptor, and closes it where this fails.
    ///
    /// - Throws: `notADisk` where it is not a regular file, `readFailed` where it cannot be examined.
    public convenience init(
        takingDescriptor descriptor: Int32,
        name: String,
        path: String,
        folder: Folder? = nil,
        links: [LinkStamp] = []
    ) throws(ImageError) {
        try self.init(takingDescriptor: descriptor, name: name, path: path, folder: folder, links: links, standing: nil)
    }

    /// - Parameter standing: how the system knows the file; nil to find it out.
    init(
        takingDescriptor descriptor: Int32,
        name: String,
        path: String,
        folder: Folder?,
        links: [LinkStamp] = [],
        standing: Standing?
    ) throws(ImageError) {
        // In this order: a change after the clock was looked at has another time than what is noted, if that is older than the
        // clock; and who writes is looked for after the times were noted, or a write that begins between would be missed.
        let now = Self.fileClock
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            let failure = errno
            close(descriptor)
            throw ImageError(.readFailed, "The file cannot be examined: \(systemMessage(failure)).", path: name)
        }
        guard status.st_mode & S_IFMT == S_IFREG, status.st_size >= 0 else {
            close(descriptor)
            throw ImageError(.notADisk, "This is not a regular file.", path: name)
        }
        self.descriptor = descriptor
        self.name = name
        self.path = path
        size = UInt64(status.st_size)
        identity = Identity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
        modificationTime = Self.nanoseconds(status.st_mtim)
        changeTime = Self.nanoseconds(status.st_ctim)
        isFresh = Self.isFresh(changedAt: changeTime, at: now)
        self.folder = folder
        self.links = links
        self.standing = standing ?? Standing(of: descriptor, changeTime: changeTime)
    }

    /// Whether the file was at rest when it was opened.
    public var rest: Rest { standing.rest }

    /// Whether what was read from it stays true as long as its size and its times stay the same.
    var isDependable: Bool { standing.rest == .proved && standing.timesNoteEverything && !isFresh }

    deinit {
        close(descriptor)
    }

    /// Fills `bytes` with what the file holds from `offset` on.
    ///
    /// - Throws: `corrupt` where the file ends before, `readFailed` where the operating system fails.
    public func read(at offset: UInt64, into bytes: inout [UInt8]) throws(ImageError) {
        var span = bytes.mutableSpan
        try span.withUnsafeMutableBytes { (buffer) throws(ImageError) in
            try read(at: offset, into: buffer)
        }
    }

    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(ImageError) {
        try checkInside(offset: offset, count: UInt64(buffer.count))
        if let problem = PositionedRead.fill(buffer, from: descriptor, at: offset) {
            throw error(.readFailed, problem, at: offset)
        }
    }
}

extension ImageFile {
    /// An error about this file.
    func error(
        _ code: ImageError.Code,
        _ message: String,
        at offset: UInt64? = nil,
        detailCode: UInt32 = 0
    ) -> ImageError {
        ImageError(code, message, path: name, offset: offset, detailCode: detailCode)
    }
}

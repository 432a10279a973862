internal import CDiskDeltaSystem
internal import DiskImages
internal import Glibc

/// Follows a path from an open folder, part by part, and never leaves the folder at which the way to that one began.
///
/// The kernel opens each part in the folder that the part before it led to, and never follows a symbolic link by itself; the
/// target of a link is followed here, by the same rules. So nothing that is renamed or linked elsewhere meanwhile leads outside,
/// and a file opened from the folder of another lies beside that one whatever happened above both.
struct PathWalk {
    /// Why a path leads to no file: an `errno`. EXDEV means that it leads outside.
    struct Failure: Error {
        let code: Int32
    }

    /// As many links as the kernel follows.
    private static let maximumLinkCount = 40

    private var folder: Folder
    /// What is still to be followed, the next part last. Parts are bytes: the target of a link need not be text.
    private var rest: [[UInt8]]
    private var links: [LinkStamp] = []

    private init(_ parts: [String], from folder: Folder) {
        self.folder = folder
        rest = parts.reversed().map { Array($0.utf8) }
    }

    /// Opens the file at `parts` for reading.
    ///
    /// - Parameter isFolder: whether the path can only be that of a folder.
    /// - Returns: a descriptor, the folder in which the file was found, and the links that led to it.
    static func open(
        _ parts: [String],
        from folder: Folder,
        isFolder: Bool
    ) throws(Failure) -> (descriptor: Int32, folder: Folder, links: [LinkStamp]) {
        var walk = PathWalk(parts, from: folder)
        return try walk.run(isFolder: isFolder)
    }

    private mutating func run(
        isFolder: Bool
    ) throws(Failure) -> (descriptor: Int32, folder: Folder, links: [LinkStamp]) {
        while let part = rest.popLast() {
            if part == [UInt8(ascii: ".")] { continue }
            if part == [UInt8(ascii: "."), UInt8(ascii: ".")] {
                guard let parent = folder.parent else { throw Failure(code: EXDEV) }
                folder = parent
                continue
            }
            let isLast = rest.isEmpty && !isFolder
            let descriptor = (part + [0]).withUnsafeBufferPointer { bytes in
                bytes.withMemoryRebound(to: CChar.self) { name in
                    name.baseAddress.map { diskdelta_open_entry(folder.descriptor, $0, isLast ? 0 : 1) } ?? -1
                }
            }
            if descriptor >= 0 {
                if isLast { return (descriptor, folder, links) }
                do throws(ImageError) {
                    folder = try Folder(takingDescriptor: descriptor, parent: folder, name: "")
                } catch {
                    throw Failure(code: EIO)
                }
            } else {
                let failure = errno
                guard failure == ELOOP else { throw Failure(code: failure) }
                try follow(part)
            }
        }
        // The path ended at a folder.
        let descriptor = diskdelta_open_entry(folder.descriptor, ".", 0)
        guard descriptor >= 0 else { throw Failure(code: errno) }
        return (descriptor, folder, links)
    }

    /// Puts the target of the link `part` in the place of it.
    private mutating func follow(_ part: [UInt8]) throws(Failure) {
        guard links.count < Self.maximumLinkCount else { throw Failure(code: ELOOP) }
        links.append(try stamp(of: part))
        var target = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let length = (part + [0]).withUnsafeBufferPointer { bytes in
            bytes.withMemoryRebound(to: CChar.self) { name in
                target.withUnsafeMutableBytes { buffer in
                    buffer.withMemoryRebound(to: CChar.self) { text in
                        name.baseAddress.flatMap { name in
                            text.baseAddress.map { readlinkat(folder.descriptor, name, $0, text.count) }
                        } ?? -1
                    }
                }
            }
        }
        if length < 0 {
            // It is no link any more: what is there now is looked at.
            guard errno == EINVAL else { throw Failure(code: errno) }
            rest.append(part)
            return
        }
        guard length > 0, length < target.count else { throw Failure(code: length == 0 ? ENOENT : ENAMETOOLONG) }
        guard target[0] != UInt8(ascii: "/") else { throw Failure(code: EXDEV) }
        let parts = target[..<length].split(separator: UInt8(ascii: "/")).map(Array.init)
        rest += parts.reversed()
    }

    /// It is noted before the link is read: one that is exchanged between is not taken for the one that was followed.
    private func stamp(of part: [UInt8]) throws(Failure) -> LinkStamp {
        var status = stat()
        let result = (part + [0]).withUnsafeBufferPointer { bytes in
            bytes.withMemoryRebound(to: CChar.self) { name in
                name.baseAddress.map { fstatat(folder.descriptor, $0, &status, AT_SYMLINK_NOFOLLOW) } ?? -1
            }
        }
        guard result == 0 else { throw Failure(code: errno) }
        return LinkStamp(
            device: UInt64(status.st_dev),
            inode: UInt64(status.st_ino),
            changeTime: Int64(status.st_ctim.tv_sec) &* 1_000_000_000 &+ Int64(status.st_ctim.tv_nsec)
        )
    }
}

internal import CDiskDeltaSystem
internal import Glibc

/// The file system as it is: every file that the process itself may open.
public struct LocalFiles: ImageFiles {
    public init() {}

    /// Opens the file at `name`, relative to the process's working directory.
    public func open(_ name: String) throws(ImageError) -> ImageFile {
        try open(name, in: nil, name: name)
    }

    public func open(_ path: String, besides child: ImageFile) throws(ImageError) -> ImageFile {
        guard !path.hasPrefix("/") else { return try open(path) }
        let name = (PathParts.folder(of: child.path) ?? "") + path
        guard let folder = child.folder else { return try open(name) }
        return try open(path, in: folder, name: name)
    }

    /// Opens the file at `path`, which begins at an open folder or, if that is nil, at the working directory.
    private func open(_ path: String, in start: Folder?, name: String) throws(ImageError) -> ImageFile {
        // A zero byte would end the name early and open another file than the one that was named.
        guard !path.isEmpty, !path.utf8.contains(0) else {
            throw ImageError(.fileNotFound, "There is no such file.", path: name)
        }
        let (way, entry) = PathParts.split(path)
        let folder: Folder
        if let start, way.isEmpty {
            folder = start
        } else {
            let descriptor = diskdelta_open_folder(start?.descriptor ?? AT_FDCWD, way.isEmpty ? "." : way)
            folder = try Folder(takingDescriptor: try opened(descriptor, name), name: name)
        }
        var descriptor: Int32
        repeat {
            // Without O_NONBLOCK the open of a FIFO would wait for a writer that may never come.
            descriptor = openat(
                folder.descriptor,
                entry.isEmpty ? "." : entry,
                O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK
            )
        } while descriptor < 0 && errno == EINTR
        return try ImageFile(takingDescriptor: try opened(descriptor, name), name: name, path: name, folder: folder)
    }

    private func opened(_ descriptor: Int32, _ name: String) throws(ImageError) -> Int32 {
        // Links that lead in a circle lead nowhere; here there is no outside to which they could lead.
        guard descriptor >= 0 else { throw ImageError.opening(name, failedWith: errno == ELOOP ? ENOENT : errno) }
        return descriptor
    }
}

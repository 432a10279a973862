internal import Glibc

/// The file system as it is: every file that the process itself may open.
public struct LocalFiles: ImageFiles {
    public init() {}

    /// Opens the file at `name`, relative to the process's working directory.
    public func open(_ name: String) throws(ImageError) -> ImageFile {
        // A zero byte would end the name early and open another file than the one that was named.
        guard !name.isEmpty, !name.utf8.contains(0) else {
            throw ImageError(.fileNotFound, "There is no such file.", path: name)
        }
        var descriptor: Int32
        repeat {
            // Without O_NONBLOCK the open of a FIFO would wait for a writer that may never come.
            descriptor = Glibc.open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
        } while descriptor < 0 && errno == EINTR
        guard descriptor >= 0 else {
            // Links that lead in a circle lead nowhere; here there is no outside to which they could lead.
            throw ImageError.opening(name, failedWith: errno == ELOOP ? ENOENT : errno)
        }
        return try ImageFile(takingDescriptor: descriptor, name: name, path: name)
    }

    public func open(_ path: String, besides child: ImageFile) throws(ImageError) -> ImageFile {
        try open(path.hasPrefix("/") ? path : (PathParts.folder(of: child.path) ?? "") + path)
    }
}

internal import Glibc

/// Gives a name a new content as a whole: after a crash at any moment the name has the old content or the new one.
enum FileReplacement {
    /// A file that was there keeps its permissions, and a symbolic link to it stays one.
    ///
    /// - Parameter isNew: whether there must be no file of this name yet.
    /// - Throws: `alreadyExists`, `fileNotFound` where the folder does not exist, `accessDenied`, `writeFailed`.
    static func write(_ bytes: [UInt8], to path: String, isNew: Bool) throws(ImageError) {
        let place = isNew ? path : try target(of: path)
        // In the same folder, for a file cannot be renamed from one file system to another.
        let name = PathParts.components(of: place).last ?? ""
        let temporary = (PathParts.folder(of: place) ?? "") + ".\(name).\(GUID.random())"
        do throws(ImageError) {
            let storage = try FileStorage.create(temporary, isDurable: true)
            var old = stat()
            if !isNew, stat(place, &old) == 0 { chmod(temporary, old.st_mode & 0o7777) }
            try storage.grow(to: UInt64(bytes.count))
            try storage.write(bytes, at: 0)
            try storage.synchronize()
        } catch {
            unlink(temporary)
            throw ImageError(error.code, error.message, path: path)
        }
        // A link fails where the name is taken; a rename takes it over.
        let result = isNew ? link(temporary, place) : rename(temporary, place)
        let failure = errno
        if isNew || result != 0 { unlink(temporary) }
        guard result == 0 else {
            guard failure != EEXIST else {
                throw ImageError(.alreadyExists, "There is already a file of this name.", path: path)
            }
            throw ImageError(.writeFailed, "The file cannot be put in place: \(systemMessage(failure)).", path: path)
        }
        try synchronizeFolder(of: place)
    }

    /// The file at the end of the symbolic links that `path` may lead through.
    private static func target(of path: String) throws(ImageError) -> String {
        guard let real = realpath(path, nil) else { throw ImageError.opening(path, failedWith: errno) }
        defer { free(real) }
        return String(cString: real)
    }

    /// Makes a new name as durable as the file.
    static func synchronizeFolder(of path: String) throws(ImageError) {
        let descriptor = open(PathParts.folder(of: path) ?? ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw ImageError.opening(path, failedWith: errno) }
        defer { close(descriptor) }
        // Some file systems cannot do this for a folder; they say EINVAL, and there is nothing else to do.
        guard fsync(descriptor) == 0 || errno == EINVAL else {
            throw ImageError(.writeFailed, "The folder cannot be written: \(systemMessage(errno)).", path: path)
        }
    }
}

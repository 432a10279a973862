internal import Glibc

extension ImageError {
    /// The error for a file that `open` or `openat2` failed to open with `failure`, an `errno`.
    public static func opening(_ name: String, failedWith failure: Int32) -> ImageError {
        switch failure {
        case ENOENT, ENOTDIR, ENAMETOOLONG:
            ImageError(.fileNotFound, "There is no such file.", path: name)
        case EXDEV, ELOOP:
            ImageError(.pathNotAllowed, "The name leads outside the folders that may be read.", path: name)
        case EACCES, EPERM:
            ImageError(.accessDenied, "The operating system refuses to open the file.", path: name)
        case EMFILE, ENFILE, ENOMEM, EAGAIN:
            ImageError(.resourceLimit, "The file cannot be opened now: \(systemMessage(failure)).", path: name)
        case ENXIO, EISDIR, ENODEV:
            ImageError(.notADisk, "This is not a regular file.", path: name)
        default:
            ImageError(.readFailed, "The file cannot be opened: \(systemMessage(failure)).", path: name)
        }
    }
}

/// What the C library says of an `errno`, without a full stop.
func systemMessage(_ failure: Int32) -> String {
    // glibc keeps the text of an unknown number in memory of the calling thread.
    guard let text = strerror(failure) else { return "error \(failure)" }
    return String(cString: text)
}

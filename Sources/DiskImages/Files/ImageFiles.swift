/// The files that images may be opened from: the file system as it is, or the roots of a server.
public protocol ImageFiles: Sendable {
    /// Opens the file that a person or a request named.
    ///
    /// - Throws: `fileNotFound`, `pathNotAllowed`, `accessDenied`, `notADisk` (not a regular file), `resourceLimit` (no
    ///   descriptor left), `readFailed`.
    func open(_ name: String) throws(ImageError) -> ImageFile

    /// Opens the file at `path`, which is absolute or relative to the folder of `child` and may have `..` parts.
    ///
    /// - Throws: as `open(_:)`.
    func open(_ path: String, besides child: ImageFile) throws(ImageError) -> ImageFile
}

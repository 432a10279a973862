internal import Glibc

/// The way from a child to its parent as a parent locator has it: `..` for a folder up, `\` between the parts.
enum RelativeWindowsPath {
    /// - Throws: `invalidParameter` where a name on the way cannot be written so; `fileNotFound` and the like where the
    ///   folder or the parent does not exist.
    static func from(folderOf child: String, to parent: String) throws(ImageError) -> String {
        let start = try components(of: PathParts.folder(of: child) ?? ".")
        let end = try components(of: parent)
        let common = zip(start, end.dropLast()).prefix { $0 == $1 }.count
        let up = [String](repeating: "..", count: start.count - common)
        let down = end.dropFirst(common)
        let path = ((up.isEmpty ? ["."] : up) + down).joined(separator: "\\")
        guard !down.contains(where: { $0.utf8.contains(UInt8(ascii: "\\")) }), path.utf16.count < 32_768 else {
            throw unwritable(parent)
        }
        return path
    }

    /// The parts of the real path: without links, `.` and `..`.
    private static func components(of path: String) throws(ImageError) -> [String] {
        guard let real = realpath(path, nil) else { throw ImageError.opening(path, failedWith: errno) }
        defer { free(real) }
        guard let text = String(validatingCString: real) else { throw unwritable(path) }
        return PathParts.components(of: text)
    }

    private static func unwritable(_ path: String) -> ImageError {
        ImageError(.invalidParameter, "The path to the parent cannot be written as Windows does.", path: path)
    }
}

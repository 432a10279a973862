internal import Glibc

/// The way from a child to its parent as a parent locator has it: `..` for a folder up, `\` between the parts.
enum RelativeWindowsPath {
    /// - Throws: `invalidParameter` where a name on the way cannot be written so; `fileNotFound` and the like where the
    ///   folder or the parent does not exist.
    static func from(folderOf child: String, to parent: String) throws(ImageError) -> String {
        let folder = child.lastIndex(of: "/").map { String(child[...$0]) } ?? "."
        let start = try components(of: folder)
        let end = try components(of: parent)
        let common = zip(start, end.dropLast()).prefix { $0 == $1 }.count
        let up = [Substring](repeating: "..", count: start.count - common)
        let down = end.dropFirst(common)
        let path = ((up.isEmpty ? ["."] : up) + down).joined(separator: "\\")
        guard !down.contains(where: { $0.contains("\\") }), path.utf16.count < 32_768 else {
            throw ImageError(
                .invalidParameter,
                "The path to the parent cannot be written as Windows does.",
                path: parent
            )
        }
        return path
    }

    /// The parts of the real path: without links, `.` and `..`.
    private static func components(of path: String) throws(ImageError) -> [Substring] {
        guard let real = realpath(path, nil) else { throw ImageError.opening(path, failedWith: errno) }
        defer { free(real) }
        return String(cString: real).split(separator: "/")
    }
}

internal import Glibc

/// The way from the folder of one file to another file.
struct RelativePath {
    /// How many folders to go up.
    let up: Int
    /// The parts to go down, the file's own name last.
    let down: [String]

    /// - Throws: `fileNotFound` and the like where the folder or the other file does not exist; `invalidParameter` where a
    ///   name on the way is no text.
    init(fromFolderOf file: String, to other: String) throws(ImageError) {
        let start = try Self.components(of: PathParts.folder(of: file) ?? ".")
        let end = try Self.components(of: other)
        let common = zip(start, end.dropLast()).prefix { $0 == $1 }.count
        up = start.count - common
        down = Array(end.dropFirst(common))
    }

    /// The parts of the real path: without links, `.` and `..`.
    private static func components(of path: String) throws(ImageError) -> [String] {
        guard let real = realpath(path, nil) else { throw ImageError.opening(path, failedWith: errno) }
        defer { free(real) }
        guard let text = String(validatingCString: real) else {
            throw ImageError(.invalidParameter, "A name on the way to the file is no text.", path: path)
        }
        return PathParts.components(of: text)
    }
}

/// Paths are taken apart byte by byte, as the file system does. A `Character` can be a separator together with an accent
/// that follows it, and would not be found.
public enum PathParts {
    private static let slash = UInt8(ascii: "/")

    /// The folder that a path leads through, with the slash behind it; nil where the path has no slash.
    static func folder(of path: String) -> String? {
        path.utf8.lastIndex(of: slash).map { String(Substring(path.utf8[...$0])) }
    }

    /// The folder that a path leads through, with the slash behind it, and the name of the entry in it; either may be empty.
    static func split(_ path: String) -> (folder: String, entry: String) {
        guard let last = path.utf8.lastIndex(of: slash) else { return ("", path) }
        return (String(Substring(path.utf8[...last])), String(Substring(path.utf8[path.utf8.index(after: last)...])))
    }

    /// The parts between slashes, without empty ones.
    public static func components(of path: String) -> [String] {
        path.utf8.split(separator: slash).map { String(Substring($0)) }
    }

    /// The parts between backslashes or slashes, empty ones included.
    static func windowsComponents(of path: String) -> [String] {
        path.utf8.split(omittingEmptySubsequences: false) { $0 == UInt8(ascii: "\\") || $0 == slash }
            .map { String(Substring($0)) }
    }
}

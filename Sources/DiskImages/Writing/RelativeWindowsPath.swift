/// The way from a child to its parent as a parent locator has it: `..` for a folder up, `\` between the parts.
enum RelativeWindowsPath {
    /// - Throws: `invalidParameter` where a name on the way cannot be written so; `fileNotFound` and the like where the
    ///   folder or the parent does not exist.
    static func from(folderOf child: String, to parent: String) throws(ImageError) -> String {
        let way = try RelativePath(fromFolderOf: child, to: parent)
        let up = [String](repeating: "..", count: way.up)
        let path = ((up.isEmpty ? ["."] : up) + way.down).joined(separator: "\\")
        guard !way.down.contains(where: { $0.utf8.contains(UInt8(ascii: "\\")) }), path.utf16.count < 32_768 else {
            throw ImageError(
                .invalidParameter,
                "The path to the parent cannot be written as Windows does.",
                path: parent
            )
        }
        return path
    }
}

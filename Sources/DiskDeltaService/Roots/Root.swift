internal import Foundation

/// A folder whose disks may be asked about, under the name that clients use for it.
public struct Root: Sendable, Hashable {
    /// One path component: the first part of the names of its disks.
    public let name: String

    /// The folder, absolute and free of symbolic links.
    public let directory: String

    /// The absolute paths by which clients may know the folder: the real one, and the one it was configured by.
    let spellings: Set<String>

    /// A root, where `directory` is a folder that exists.
    ///
    /// - Throws: `RootError` where the name is empty or has a `/`, or where there is no such folder.
    public init(name: String, directory: String) throws(RootError) {
        guard !name.isEmpty, name != ".", name != "..", !name.contains("/"), !name.contains("\0") else {
            throw RootError(message: "\"\(name)\" cannot name a root: it must be one part of a path")
        }
        guard let resolved = realpath(directory, nil) else {
            throw RootError(message: "The root \(name) is to be \(directory), and there is no such folder")
        }
        defer { free(resolved) }
        self.name = name
        self.directory = String(cString: resolved)
        spellings = directory.hasPrefix("/") ? [self.directory, directory] : [self.directory]
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: self.directory, isDirectory: &isDirectory), isDirectory.boolValue
        else {
            throw RootError(message: "The root \(name) is to be \(directory), and that is not a folder")
        }
    }

    /// Reads `NAME=DIRECTORY`.
    public init(argument: String) throws(RootError) {
        guard let equals = argument.firstIndex(of: "=") else {
            throw RootError(message: "\"\(argument)\" does not have the form NAME=DIRECTORY")
        }
        try self.init(name: String(argument[..<equals]), directory: String(argument[argument.index(after: equals)...]))
    }
}

/// A root that cannot be served.
public struct RootError: Error, Hashable, Sendable, CustomStringConvertible {
    /// One sentence that a person can act on.
    public let message: String

    public var description: String { message }
}

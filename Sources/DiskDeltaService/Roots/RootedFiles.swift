internal import CDiskDeltaSystem
public import DiskImages
internal import Foundation

/// The files inside the roots of a server, and nothing else.
///
/// A name is `ROOT/relative/path`, or an absolute path inside a root. It is followed beneath the root's open folder
/// (``PathWalk``), so that no symbolic link and no race of renames leads outside. What a file refers to by a relative path is
/// followed from the open folder in which that file was found.
public struct RootedFiles: ImageFiles {
    /// A root, and its folder held open.
    private struct OpenRoot: Sendable {
        let root: Root
        let directory: Folder
        /// Whether the caller may use it. A root that he may not use is not there for him, and neither is what lies in it.
        var isAllowed = true

        func isNamed(_ name: String) -> Bool { ExactName(root.name) == ExactName(name) }
    }

    private var roots: [OpenRoot]

    /// - Throws: `RootError` where a folder cannot be opened, or two roots have the same name.
    public init(_ roots: [Root]) throws(RootError) {
        var opened: [OpenRoot] = []
        for root in roots {
            guard !opened.contains(where: { $0.isNamed(root.name) }) else {
                throw RootError(message: "Two roots are named \(root.name)")
            }
            opened.append(OpenRoot(root: root, directory: try Self.folder(of: root)))
        }
        self.roots = opened
    }

    private static func folder(of root: Root) throws(RootError) -> Folder {
        let descriptor = diskdelta_open_folder(AT_FDCWD, root.directory)
        let failure = errno
        guard descriptor >= 0, let folder = try? Folder(takingDescriptor: descriptor, name: root.directory) else {
            throw RootError(
                message:
                    "The root \(root.name), \(root.directory), cannot be opened: \(String(cString: strerror(failure)))"
            )
        }
        return folder
    }

    /// The same roots for somebody who may use only some of them: the others answer as if they did not exist. A root inside
    /// another is not a part of it: who may use only the outer one does not come into the inner one by any way.
    public func restricted(to selection: RootSelection) -> RootedFiles {
        var restricted = self
        for index in restricted.roots.indices where !selection.contains(roots[index].root.name) {
            restricted.roots[index].isAllowed = false
        }
        return restricted
    }

    /// The name of the root that a disk is in, as its own name tells, be there such a disk or not; nil where it is in none.
    public func rootName(ofDisk name: String) -> String? {
        let parts = PathParts.components(of: name)
        guard !parts.contains("..") else { return nil }
        var place = parts
        if !name.hasPrefix("/") {
            guard let first = parts.first, let root = roots.first(where: { $0.isNamed(first) })?.root else {
                return nil
            }
            place = PathParts.components(of: root.directory) + parts.dropFirst()
        }
        let resolved = Self.resolved(place)
        return innermost { Self.part(of: resolved, below: $0) }?.root.root.name
    }

    public func open(_ name: String) throws(ImageError) -> ImageFile {
        let parts = PathParts.components(of: name)
        guard !name.contains("\0") else {
            throw ImageError(.invalidParameter, "The name of the disk has a NUL character in it", path: "")
        }
        // Refused whether or not it exists: the answer must not tell what is outside.
        guard !parts.contains("..") else {
            throw ImageError(.pathNotAllowed, "The name of a disk must not have a \"..\" part", path: name)
        }
        if name.hasPrefix("/") {
            return try open(parts, name: name, refusedAs: name, isFolder: Self.namesFolder(name))
        }
        let allowed = roots.filter(\.isAllowed)
        guard let first = parts.first, let found = allowed.first(where: { $0.isNamed(first) }) else {
            let known = allowed.map(\.root.name).sorted().joined(separator: ", ")
            throw ImageError(
                .fileNotFound,
                allowed.isEmpty ? "There is no root to ask about" : "No root has this name: the roots are \(known)",
                path: name
            )
        }
        return try open(Array(parts.dropFirst()), in: found, name: name, isFolder: Self.namesFolder(name))
    }

    public func open(_ path: String, besides child: ImageFile) throws(ImageError) -> ImageFile {
        guard !path.contains("\0") else {
            throw ImageError(.corrupt, "The path of the parent has a NUL character in it", path: child.name)
        }
        let parts = PathParts.components(of: path)
        let folder = path.hasPrefix("/") ? [] : PathParts.components(of: child.path).dropLast()
        let isFolder = Self.namesFolder(path)
        let start = path.hasPrefix("/") ? nil : child.folder.map { (folder: $0, parts: parts) }
        guard !child.name.hasPrefix("/") else {
            let name = "/" + Self.resolved(folder + parts).joined(separator: "/")
            return try open(folder + parts, from: start, name: name, refusedAs: name, isFolder: isFolder)
        }
        // Where the roots themselves are is not told to a client who has not named them by it.
        return try open(folder + parts, from: start, name: nil, refusedAs: path, isFolder: isFolder)
    }

    /// Opens an absolute path in the innermost root that it leads to.
    ///
    /// - Parameters:
    ///   - start: an open folder and the path from there, where the path is relative to that; nil for the root itself.
    ///   - name: what the file is called; nil for its name below the root.
    private func open(
        _ absolute: [String],
        from start: (folder: Folder, parts: [String])? = nil,
        name: String?,
        refusedAs refusedName: String,
        isFolder: Bool
    ) throws(ImageError) -> ImageFile {
        let resolved = Self.resolved(absolute)
        guard var (root, relative) = innermost({ Self.part(of: resolved, below: $0) }), root.isAllowed else {
            throw Self.outside(refusedName)
        }
        let name = name ?? ([root.root.name] + relative).joined(separator: "/")
        // Behind a symbolic link ".." leads elsewhere than the text says, and only the kernel knows where.
        if let unresolved = innermost({ Self.part(of: absolute, below: $0) }) { (root, relative) = unresolved }
        guard root.isAllowed else { throw Self.outside(refusedName) }
        return try open(relative, in: root, from: start, name: name, isFolder: isFolder)
    }

    private func open(
        _ relative: [String],
        in opened: OpenRoot,
        from start: (folder: Folder, parts: [String])? = nil,
        name: String,
        isFolder: Bool
    ) throws(ImageError) -> ImageFile {
        // Whether or not something is there: the answer must not tell.
        let textual = PathParts.components(of: opened.root.directory) + Self.resolved(relative)
        guard innermost({ Self.part(of: textual, below: $0) })?.root.isAllowed ?? true else {
            throw ImageError.opening(name, failedWith: ENOENT)
        }
        let (descriptor, folder, links) = try descriptor(
            of: relative,
            in: opened,
            from: start,
            name: name,
            isFolder: isFolder
        )
        // A symbolic link may have led into another root.
        guard roots.allSatisfy(\.isAllowed) || isInAllowedRoot(descriptor) else {
            close(descriptor)
            throw ImageError.opening(name, failedWith: ENOENT)
        }
        return try ImageFile(
            takingDescriptor: descriptor,
            name: name,
            path: opened.root.directory + "/" + relative.joined(separator: "/"),
            folder: folder,
            links: links
        )
    }

    private func descriptor(
        of relative: [String],
        in opened: OpenRoot,
        from start: (folder: Folder, parts: [String])?,
        name: String,
        isFolder: Bool
    ) throws(ImageError) -> (Int32, Folder, [LinkStamp]) {
        do throws(PathWalk.Failure) {
            if let start {
                do throws(PathWalk.Failure) {
                    return try PathWalk.open(start.parts, from: start.folder, isFolder: isFolder)
                } catch {
                    // It leads out of the root in which its child was found, but perhaps into another.
                    guard error.code == EXDEV else { throw error }
                }
            }
            return try PathWalk.open(relative, from: opened.directory, isFolder: isFolder)
        } catch {
            throw ImageError.opening(name, failedWith: error.code)
        }
    }

    private static func outside(_ name: String) -> ImageError {
        ImageError(.pathNotAllowed, "This is outside the roots of this server", path: name)
    }

    /// Whether an open file lies, wherever links have led, in a root that may be used. Where the system does not tell, it
    /// does not.
    private func isInAllowedRoot(_ descriptor: Int32) -> Bool {
        guard let path = Self.path(of: descriptor) else { return false }
        var best: (isAllowed: Bool, depth: Int)?
        for candidate in roots {
            // Folders may have been renamed since they were opened.
            guard let folder = Self.path(of: candidate.directory.descriptor), Self.leads(path, through: folder) else {
                continue
            }
            if let best, best.depth > folder.count || (best.depth == folder.count && best.isAllowed) { continue }
            best = (candidate.isAllowed, folder.count)
        }
        return best?.isAllowed ?? false
    }

    /// Where an open file is in truth; nil where the system does not tell.
    private static func path(of descriptor: Int32) -> [String]? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(PATH_MAX)) { buffer in
            guard let start = buffer.baseAddress else { return nil }
            let length = readlink("/proc/self/fd/\(descriptor)", start, buffer.count)
            guard length > 0, length < buffer.count else { return nil }
            let bytes = buffer[..<length].map { UInt8(bitPattern: $0) }
            return PathParts.components(of: String(decoding: bytes, as: UTF8.self))
        }
    }

    /// The root with the longest folder below which `part` finds the way; of several with the same folder, one that may be
    /// used.
    private func innermost(_ part: ([String]) -> [String]?) -> (root: OpenRoot, relative: [String])? {
        var best: (root: OpenRoot, relative: [String], depth: Int)?
        for candidate in roots {
            for spelling in candidate.root.spellings {
                let folder = Self.resolved(PathParts.components(of: spelling))
                guard let relative = part(folder), folder.count >= best?.depth ?? 0 else { continue }
                if let best, best.depth == folder.count, best.root.isAllowed { continue }
                best = (candidate, relative, folder.count)
            }
        }
        return best.map { ($0.root, $0.relative) }
    }

    /// What of a path lies below `folder`; nil where the path does not lead through it, or out of it again.
    private static func part(of path: [String], below folder: [String]) -> [String]? {
        guard leads(path, through: folder) else { return nil }
        let relative = path.dropFirst(folder.count)
        var depth = 0
        for part in relative where part != "." {
            depth += part == ".." ? -1 : 1
            guard depth >= 0 else { return nil }
        }
        return Array(relative)
    }

    /// Whether a path begins as that of `folder`, byte by byte.
    private static func leads(_ path: [String], through folder: [String]) -> Bool {
        path.starts(with: folder) { ExactName($0) == ExactName($1) }
    }

    /// Whether a name can be that of a folder only: that of a file does not end in a slash.
    private static func namesFolder(_ name: String) -> Bool {
        name.utf8.last == UInt8(ascii: "/") || PathParts.components(of: name).last == "."
    }

    /// The parts of a path, with `.` left out and `..` resolved. A `..` above the top stays there, as in a file system.
    private static func resolved(_ path: [String]) -> [String] {
        var parts: [String] = []
        for part in path {
            switch part {
            case ".": continue
            case "..": if !parts.isEmpty { parts.removeLast() }
            default: parts.append(part)
            }
        }
        return parts
    }
}

internal import CDiskDeltaSystem
public import DiskImages
internal import Foundation

/// The files inside the roots of a server, and nothing else.
///
/// A name is `ROOT/relative/path`, or an absolute path inside a root. The kernel itself resolves it beneath the root's
/// folder (`openat2` with RESOLVE_BENEATH), so that no symbolic link and no race of renames leads outside.
public struct RootedFiles: ImageFiles {
    /// A root, and its folder held open.
    private struct OpenRoot: Sendable {
        let root: Root
        let directory: DirectoryHandle
    }

    private let roots: [OpenRoot]

    /// - Throws: `RootError` where a folder cannot be opened, or two roots have the same name.
    public init(_ roots: [Root]) throws(RootError) {
        var opened: [OpenRoot] = []
        for root in roots {
            guard !opened.contains(where: { $0.root.name == root.name }) else {
                throw RootError(message: "Two roots are named \(root.name)")
            }
            opened.append(OpenRoot(root: root, directory: try DirectoryHandle(root)))
        }
        self.roots = opened
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
            return try open(absolute: Self.components(of: name), name: name, asAbsolute: true)
        }
        guard let first = parts.first, let found = roots.first(where: { $0.root.name == first }) else {
            let known = roots.map(\.root.name).sorted().joined(separator: ", ")
            throw ImageError(
                .fileNotFound,
                roots.isEmpty ? "This server has no roots" : "No root has this name: the roots are \(known)",
                path: name
            )
        }
        return try open(Self.components(of: parts.dropFirst().joined(separator: "/")), in: found, name: name)
    }

    public func open(_ path: String, besides child: ImageFile) throws(ImageError) -> ImageFile {
        guard !path.contains("\0") else {
            throw ImageError(.corrupt, "The path of the parent has a NUL character in it", path: child.name)
        }
        let folder = Self.components(of: child.path).dropLast().joined(separator: "/")
        let resolved = Self.components(of: path.hasPrefix("/") ? path : "\(folder)/\(path)")
        return try open(
            absolute: resolved,
            name: "/" + resolved.joined(separator: "/"),
            asAbsolute: child.name.hasPrefix("/")
        )
    }

    /// Opens an absolute path beneath the innermost root that has it.
    private func open(absolute: [String], name: String, asAbsolute: Bool) throws(ImageError) -> ImageFile {
        var best: (root: OpenRoot, depth: Int)?
        for candidate in roots {
            for spelling in candidate.root.spellings {
                let folder = Self.components(of: spelling)
                if absolute.starts(with: folder), folder.count >= best?.depth ?? 0 {
                    best = (candidate, folder.count)
                }
            }
        }
        guard let best else {
            throw ImageError(.pathNotAllowed, "This is outside the roots of this server", path: name)
        }
        let relative = Array(absolute.dropFirst(best.depth))
        let shown = asAbsolute ? name : ([best.root.root.name] + relative).joined(separator: "/")
        return try open(relative, in: best.root, name: shown)
    }

    private func open(_ relative: [String], in opened: OpenRoot, name: String) throws(ImageError) -> ImageFile {
        let path = relative.isEmpty ? "." : relative.joined(separator: "/")
        let descriptor = diskdelta_open_beneath(opened.directory.descriptor, path)
        guard descriptor >= 0 else { throw ImageError.opening(name, failedWith: errno) }
        return try ImageFile(
            takingDescriptor: descriptor,
            name: name,
            path: opened.root.directory + "/" + path
        )
    }

    /// The parts of a path, with `.` left out and `..` resolved. A `..` above the top stays there, as in a file system.
    private static func components(of path: String) -> [String] {
        var parts: [String] = []
        for part in PathParts.components(of: path) {
            switch part {
            case ".": continue
            case "..": if !parts.isEmpty { parts.removeLast() }
            default: parts.append(part)
            }
        }
        return parts
    }
}

/// A folder held open, so that what is resolved beneath it stays beneath it when it is renamed.
private final class DirectoryHandle: Sendable {
    let descriptor: Int32

    init(_ root: Root) throws(RootError) {
        descriptor = Foundation.open(root.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw RootError(
                message:
                    "The root \(root.name), \(root.directory), cannot be opened: \(String(cString: strerror(errno)))"
            )
        }
    }

    deinit {
        close(descriptor)
    }
}

internal import DiskImages

/// Who may do what on which roots.
///
/// A policy is a list of lines, each of which allows something; what no line allows is not allowed.
///
///     # identity                       permissions       roots
///     allow = spiffe://example.com/vm  query             vms, archive
///     allow = uid:1000                 query,read-data   *
///     allow = *                        query             public
///
/// An identity, and the list of roots, may be a `*` as a whole: everybody who has proved who he is, and all roots. A `*` as
/// part of a word is refused. Permissions have no blanks between them; roots are the rest of the line, separated by commas.
public struct Policy: Hashable, Sendable {
    private var grants: [ExactName: [Permission: RootSelection]] = [:]

    /// The longest text in bytes that is read.
    public static let maximumByteCount = 1 << 20

    private static let everybody = "*"

    /// What holds where there is no policy: everybody may query all roots.
    public static let openToQueries: Policy = {
        var policy = Policy()
        policy.allow(everybody, [.query], .all)
        return policy
    }()

    private init() {}

    /// Reads a policy.
    ///
    /// - Parameter path: what the text is called where something is wrong with it.
    public init(_ text: String, named path: String) throws(PolicyError) {
        for (index, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
            let line = line.trimmed
            guard !line.isEmpty, !line.hasPrefix("#") else { continue }
            do throws(PolicyError) {
                try read(line)
            } catch {
                throw PolicyError(message: "\(path), line \(index + 1): \(error.message)")
            }
        }
    }

    private mutating func read(_ line: Substring) throws(PolicyError) {
        guard let equals = line.firstIndex(of: "="), line[..<equals].trimmed == "allow" else {
            throw PolicyError(message: "a line has the form allow = IDENTITY PERMISSIONS ROOTS")
        }
        let words = line[line.index(after: equals)...].trimmed
            .split(maxSplits: 2, omittingEmptySubsequences: true, whereSeparator: \.isWhitespace)
        guard words.count == 3 else {
            throw PolicyError(message: "a line has the form allow = IDENTITY PERMISSIONS ROOTS")
        }
        let identity = String(words[0])
        guard identity == Self.everybody || !identity.contains("*") else {
            throw PolicyError(message: "\"\(identity)\" is no identity: a * stands for everybody, and only by itself")
        }
        allow(identity, try Self.permissions(words[1]), try Self.roots(words[2]))
    }

    private static func permissions(_ text: Substring) throws(PolicyError) -> Set<Permission> {
        var permissions: Set<Permission> = []
        for word in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let permission = Permission(rawValue: String(word)) else {
                let known = Permission.allCases.map(\.rawValue).joined(separator: ", ")
                throw PolicyError(message: "\"\(word)\" is not one of the permissions \(known)")
            }
            permissions.insert(permission)
        }
        return permissions
    }

    private static func roots(_ text: Substring) throws(PolicyError) -> RootSelection {
        guard text.trimmed != "*" else { return .all }
        var names: Set<String> = []
        for word in text.split(separator: ",", omittingEmptySubsequences: false) {
            let name = word.trimmed
            guard !name.isEmpty, !name.contains("/") else {
                throw PolicyError(message: "\"\(name)\" is not the name of a root")
            }
            guard !name.contains("*") else {
                throw PolicyError(message: "\"\(name)\" is no root: a * stands for all roots, and only by itself")
            }
            names.insert(String(name))
        }
        return .only(names)
    }

    private mutating func allow(_ identity: String, _ permissions: Set<Permission>, _ roots: RootSelection) {
        for permission in permissions {
            grants[ExactName(identity), default: [:]][permission, default: .none].formUnion(roots)
        }
    }

    /// The roots on which `identity` may do what `permission` says.
    public func roots(_ identity: String, _ permission: Permission) -> RootSelection {
        let own = grants[ExactName(identity)]?[permission] ?? .none
        return own.union(grants[ExactName(Self.everybody)]?[permission] ?? .none)
    }

    /// Whether a line allows something to this identity by its own name, and not only to everybody.
    public func names(_ identity: String) -> Bool {
        identity != Self.everybody && grants[ExactName(identity)] != nil
    }

    /// Whether this identity may do anything at all.
    public func allowsAnything(_ identity: String) -> Bool {
        grants[ExactName(identity)] != nil || grants[ExactName(Self.everybody)] != nil
    }

    /// The names of all roots that are mentioned, in order.
    public var mentionedRoots: [String] {
        var names: Set<String> = []
        for case .only(let some) in grants.values.flatMap(\.values) { names.formUnion(some) }
        return names.sorted()
    }
}

/// What is wrong with a policy.
public struct PolicyError: Error, Hashable, Sendable, CustomStringConvertible {
    /// One sentence that a person can act on.
    public let message: String

    public var description: String { message }
}

extension RootSelection {
    fileprivate mutating func formUnion(_ other: RootSelection) {
        self = union(other)
    }
}

extension Substring {
    fileprivate var trimmed: Substring {
        var text = self
        while let first = text.first, first.isWhitespace { text.removeFirst() }
        while let last = text.last, last.isWhitespace { text.removeLast() }
        return text
    }
}

internal import DiskImages

/// What somebody may do with the disks of a root. None of them includes another.
public enum Permission: String, CaseIterable, Hashable, Sendable {
    /// Ask what a disk is, and which of its ranges changed or hold data.
    case query
    /// Read the content of a disk.
    case readData = "read-data"
    /// Make and delete what is recorded beside a disk; see, cancel and delete the jobs of others.
    case manage
}

/// Some of the roots of a server.
public enum RootSelection: Hashable, Sendable {
    case all
    case only(Set<String>)

    public static let none = RootSelection.only([])

    public func contains(_ name: String) -> Bool {
        switch self {
        case .all: true
        case .only(let names): names.contains { ExactName($0) == ExactName(name) }
        }
    }

    public func union(_ other: RootSelection) -> RootSelection {
        switch (self, other) {
        case (.only(let some), .only(let others)): .only(some.union(others))
        default: .all
        }
    }
}

public import DiskDeltaService

/// Who may see and touch which jobs: everybody his own, as long as he may ask about the root of the disk; those of others who may
/// manage that.
public struct JobAccess: Sendable {
    private let policy: @Sendable () -> Policy
    private let rootName: @Sendable (String) -> String?

    /// - Parameters:
    ///   - policy: what is in force at the moment.
    ///   - rootName: the name of the root that a disk, as a client names it, is in; nil where that cannot be told.
    public init(policy: @escaping @Sendable () -> Policy, rootName: @escaping @Sendable (String) -> String?) {
        self.policy = policy
        self.rootName = rootName
    }

    /// The root of a disk, as it stands in a job: empty where it cannot be told.
    func root(ofDisk name: String) -> String { rootName(name) ?? "" }

    /// What `identity` may see, by the owner of a job and the root of its disk.
    func visibility(of identity: String) -> (_ owner: String, _ root: String) -> Bool {
        let policy = policy()
        let queried = policy.roots(identity, .query)
        let managed = policy.roots(identity, .manage)
        return { owner, root in (owner == identity && queried.contains(root)) || managed.contains(root) }
    }
}

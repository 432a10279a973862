/// What a catalogue says of a VHD Set: the files of a disk and its snapshots.
///
/// Its properties are those of Msvm_VHDSetInformation and Msvm_VHDSnapshotInformation, so that what a Hyper-V host tells of
/// a set can be used as it is; a few are our own. `Docs/Formats/VHDSet.md` has the form.
public struct VHDSetCatalogue: Hashable, Sendable {
    /// The largest document that is read, in bytes.
    public static let maximumLength: UInt64 = 4 << 20
    public static let maximumSnapshotCount = 4_096

    /// The file of the set, as the host names it; empty where the document does not say.
    public var path: String
    /// All files of the set.
    public var allPaths: [CataloguePath]
    /// Our own: the file that the virtual machine writes to. Nil leaves it to be found.
    public var leafPath: CataloguePath?
    /// Our own: somebody vouches that the disk was never taken back to one of its snapshots.
    public var noSnapshotApplied: Bool
    /// In the order of the document.
    public var snapshots: [VHDSetSnapshot]

    public init(
        path: String = "",
        allPaths: [CataloguePath] = [],
        leafPath: CataloguePath? = nil,
        noSnapshotApplied: Bool = false,
        snapshots: [VHDSetSnapshot] = []
    ) {
        self.path = path
        self.allPaths = allPaths
        self.leafPath = leafPath
        self.noSnapshotApplied = noSnapshotApplied
        self.snapshots = snapshots
    }

    /// Whether the set names no file: it is new, and has no disk yet.
    public var isEmpty: Bool {
        allPaths.isEmpty && leafPath == nil && snapshots.allSatisfy { $0.snapshotPath == nil }
    }
}

/// One snapshot of a VHD Set.
public struct VHDSetSnapshot: Hashable, Sendable {
    public var id: GUID
    /// The file that holds the snapshot's state; nil for an entry that is kept for reference only.
    public var snapshotPath: CataloguePath?
    /// The files below that, the immediate parent first.
    public var parentPaths: [CataloguePath]
    public var created: CatalogueTime?
    /// As the host prints it; empty where it has none.
    public var resilientChangeTrackingID: String
    /// Our own: the identity that the snapshot's file had when it was frozen.
    public var identifier: GUID?
    /// Our own: the identities that the files of `parentPaths` had then, in the same order. Nil where one has none.
    public var parentIdentifiers: [GUID?]

    public init(
        id: GUID,
        snapshotPath: CataloguePath? = nil,
        parentPaths: [CataloguePath] = [],
        created: CatalogueTime? = nil,
        resilientChangeTrackingID: String = "",
        identifier: GUID? = nil,
        parentIdentifiers: [GUID?] = []
    ) {
        self.id = id
        self.snapshotPath = snapshotPath
        self.parentPaths = parentPaths
        self.created = created
        self.resilientChangeTrackingID = resilientChangeTrackingID
        self.identifier = identifier
        self.parentIdentifiers = parentIdentifiers
    }

    /// The identity that the parent at `index` had when the snapshot was taken, where that was recorded.
    func parentIdentifier(at index: Int) -> GUID? {
        index < parentIdentifiers.count ? parentIdentifiers[index] : nil
    }
}

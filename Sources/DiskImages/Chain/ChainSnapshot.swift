/// A snapshot of a VHD Set, and where in a chain its state lies.
public struct ChainSnapshot: Hashable, Sendable {
    /// Where a chain has the state of a snapshot.
    public enum Place: Hashable, Sendable {
        /// The layer at this index, counted from the leaf, and those below it are the snapshot's state.
        case layer(Int)
        /// The snapshot's own file is gone. What was written since lies in the layers above this index, and perhaps some of
        /// what was written before: enough for a baseline, not for a target. The layer at the index and those below it are
        /// older than the snapshot, so that what they hold says nothing of its state.
        case above(Int)
        /// The chain has nothing that would prove what was written since.
        case nowhere
    }

    /// The SnapshotId.
    public var id: GUID
    /// Where its state ends.
    public var place: Place
    /// The file that the catalogue gives it, as the file is named; empty where it has none.
    public var path: String
    /// In the form of RFC 3339; empty where the catalogue does not say.
    public var created: String
    /// Why the place is not a layer, in a sentence for a person; empty where it is one.
    public var explanation: String

    public init(id: GUID, place: Place, path: String, created: String, explanation: String = "") {
        self.id = id
        self.place = place
        self.path = path
        self.created = created
        self.explanation = explanation
    }
}

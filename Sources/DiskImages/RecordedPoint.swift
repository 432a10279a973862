/// A point of its own past that an image file has recorded.
public struct RecordedPoint: Hashable, Sendable {
    public enum Kind: Hashable, Sendable {
        /// A persistent dirty bitmap: it tells which pieces were written since it was made, and not what they held before.
        case bitmap
        /// An internal snapshot: what the disk held then is still in the file.
        case snapshot
    }

    /// Whether changes since the point can be told.
    public enum Condition: Hashable, Sendable {
        case usable
        /// A bitmap that has not seen the writes since it was disabled.
        case disabled
        /// A bitmap that was open for writing when its program died, or whose file was changed by a program that does not
        /// know bitmaps.
        case inconsistent
    }

    public var kind: Kind
    /// What tells it from all other points of its kind in the file: a bitmap's name, a snapshot's id.
    public var id: String
    /// What people call it; a bitmap's is its id.
    public var name: String
    /// In seconds since 1970; nil where the file does not say.
    public var created: UInt64?
    /// The size of the disk then, in bytes; nil where the file does not say.
    public var size: UInt64?
    /// In bytes: what changes since this point can be told apart in.
    public var granularity: UInt64
    public var condition: Condition

    public init(
        kind: Kind,
        id: String,
        name: String,
        created: UInt64? = nil,
        size: UInt64? = nil,
        granularity: UInt64,
        condition: Condition = .usable
    ) {
        self.kind = kind
        self.id = id
        self.name = name
        self.created = created
        self.size = size
        self.granularity = granularity
        self.condition = condition
    }
}

extension RecordedPoint {
    /// A file may have two points whose names only look alike.
    public static func == (one: RecordedPoint, other: RecordedPoint) -> Bool {
        one.kind == other.kind && ExactName(one.id) == ExactName(other.id)
            && ExactName(one.name) == ExactName(other.name)
            && one.created == other.created && one.size == other.size && one.granularity == other.granularity
            && one.condition == other.condition
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(kind)
        hasher.combine(ExactName(id))
    }
}

/// What is asked about a disk.
public struct Question: Hashable, Sendable {
    public enum Subject: Hashable, Sendable {
        /// The ranges that changed since the baseline `since`, up to `target` (nil or empty: now).
        case changes(since: String, target: String?)
        /// The ranges that hold data.
        case allocation
    }

    /// What to answer with where the changes since the baseline can't be told: it is not known, not usable, or no id at all.
    public enum OnUnavailable: Hashable, Sendable {
        /// The question is refused.
        case fail
        /// The ranges that hold data at the target.
        case allocated
        /// All of the target, as data.
        case whole
    }

    public var subject: Subject
    /// The start of the window in bytes.
    public var offset: UInt64
    /// The length of the window in bytes; nil means to the end of the disk.
    public var length: UInt64?
    /// The smallest piece, in bytes, worth telling apart: a power-of-two multiple of the logical sector; nil means the
    /// source's own.
    public var granularity: UInt64?
    /// The epoch that the disk must be in; nil or empty where the caller does not mind.
    public var ifEpoch: String?
    /// The size in bytes that the target must have; nil where the caller does not mind. Where a source does not record that the
    /// disk was made smaller or larger, it is the size that shows it, unless the disk has the same again.
    public var ifSize: UInt64?
    /// Of no concern for an allocation.
    public var onUnavailable: OnUnavailable
    /// Whether the caller knows that whoever has a file of the disk open for writing is quiet.
    public var assumesRest: Bool

    public init(
        _ subject: Subject,
        offset: UInt64 = 0,
        length: UInt64? = nil,
        granularity: UInt64? = nil,
        ifEpoch: String? = nil,
        ifSize: UInt64? = nil,
        onUnavailable: OnUnavailable = .fail,
        assumesRest: Bool = false
    ) {
        self.subject = subject
        self.offset = offset
        self.length = length
        self.granularity = granularity
        self.ifEpoch = ifEpoch
        self.ifSize = ifSize
        self.onUnavailable = onUnavailable
        self.assumesRest = assumesRest
    }
}

/// A part of an answer: the ranges that end in one stretch of the disk, in the smaller of two forms.
///
/// A batch starts where the one before it ended, the first at the start of the window. A range is in exactly one batch, whole.
public struct RangeBatch: Sendable {
    public enum Form: Sendable {
        /// Columns of gaps and lengths, in units. `zero` has a bit for each range, least significant first, set where it
        /// is of kind `zero`; it is empty where all are `data`.
        case runs(RangeColumns, zero: [UInt8])
        /// A bit for each unit from the start of the batch, least significant first: set where it changed and holds data.
        case bitmap([UInt8])
    }

    /// Everything below this byte of the disk is answered for.
    public let processedEnd: UInt64
    public let form: Form
}

/// The sum of an answer.
public struct RangeTotals: Hashable, Sendable {
    public internal(set) var ranges: UInt64 = 0
    public internal(set) var dataBytes: UInt64 = 0
    public internal(set) var zeroBytes: UInt64 = 0
    /// The length of the largest range in bytes.
    public internal(set) var largest: UInt64 = 0
    /// The sum of the offsets of all ranges, modulo 2^64.
    public internal(set) var offsetSum: UInt64 = 0

    /// The sum of the lengths of all ranges.
    public var bytes: UInt64 { dataBytes + zeroBytes }

    public init() {}
}

/// What a range holds now.
public enum RangeKind: String, Hashable, Sendable {
    /// Bytes to transfer.
    case data
    /// Zeroes: nothing to transfer.
    case zero
}

/// A run of bytes of a virtual disk.
public struct ChangedRange: Hashable, Sendable {
    /// In bytes from the start of the disk.
    public var offset: UInt64
    /// In bytes; above 0.
    public var length: UInt64
    public var kind: RangeKind

    public init(offset: UInt64, length: UInt64, kind: RangeKind) {
        self.offset = offset
        self.length = length
        self.kind = kind
    }

    /// The first byte after the range.
    public var end: UInt64 { offset + length }
}

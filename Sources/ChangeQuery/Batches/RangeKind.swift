/// What a changed range holds now.
public enum RangeKind: Hashable, Sendable {
    /// Bytes to transfer.
    case data
    /// Zeroes: nothing to transfer.
    case zero
}

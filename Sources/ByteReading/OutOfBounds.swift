/// Bytes were asked for that are not there.
public struct OutOfBounds: Error, Equatable, CustomStringConvertible {
    /// Where the bytes were to start, counted from the start of the span.
    public let offset: Int
    /// How many were to be read.
    public let count: Int
    /// How many the span holds in all.
    public let available: Int

    @inlinable
    public init(offset: Int, count: Int, available: Int) {
        self.offset = offset
        self.count = count
        self.available = available
    }

    public var description: String {
        "\(count) bytes at offset \(offset) are not inside the \(available) bytes there are"
    }
}

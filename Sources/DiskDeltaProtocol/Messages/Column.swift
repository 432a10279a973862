/// An immutable row of integers in one piece of memory: a `repeated uint64` or a `bytes` field of a message.
///
/// A column is a value. Copies share the memory, which stays where it is until the last copy is gone, so that protobuf-c
/// can pack it from there. The memory is the column's own, or part of what a received message was unpacked to; the
/// latter lives on as a whole as long as any column in it.
///
/// Two columns are equal when their elements are; comparing and hashing take time in proportion to the length.
@frozen
public struct Column<Element: FixedWidthInteger & BitwiseCopyable & Sendable> {
    @usableFromInline let start: UnsafePointer<Element>?

    /// The number of elements.
    public let count: Int

    /// Whatever frees the memory. It is only held.
    @usableFromInline let owner: AnyObject?

    /// A column that aliases memory which `owner` keeps alive and nobody changes.
    @usableFromInline
    init(start: UnsafePointer<Element>?, count: Int, owner: AnyObject?) {
        self.start = start
        self.count = count
        self.owner = owner
    }

    /// An empty column.
    @inlinable
    public init() {
        self.init(start: nil, count: 0, owner: nil)
    }

    /// A column with a copy of the elements.
    @inlinable
    public init(_ elements: [Element]) {
        self.init(capacity: elements.count) { buffer, count in
            count = buffer.initialize(fromContentsOf: elements)
        }
    }

    /// A column that `fill` writes in place. `fill` sets the count to the number of elements it wrote, from the start.
    ///
    /// `capacity` and the count are the program's own numbers: a count beyond the capacity is a programmer's mistake and
    /// stops the program, as with an array.
    @inlinable
    public init<Failure: Error>(
        capacity: Int,
        initializingWith fill: (UnsafeMutableBufferPointer<Element>, inout Int) throws(Failure) -> Void
    ) throws(Failure) {
        let memory = ColumnMemory<Element>(capacity: capacity)
        var count = 0
        try fill(memory.buffer, &count)
        precondition(count >= 0 && count <= capacity, "a column was filled beyond its capacity")
        self.init(start: UnsafePointer(memory.buffer.baseAddress), count: count, owner: memory)
    }

    @inlinable public var isEmpty: Bool { count == 0 }

    /// Lends the elements.
    @inlinable
    public func withSpan<Result: ~Copyable, Failure: Error>(
        _ body: (Span<Element>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        defer { extendLifetime(owner) }
        return try body(UnsafeBufferPointer(start: start, count: count).span)
    }

    /// Lends the elements. The pointer is the same each time, and holds as long as a copy of the column does.
    @inlinable
    public func withUnsafeBufferPointer<Result: ~Copyable, Failure: Error>(
        _ body: (UnsafeBufferPointer<Element>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        defer { extendLifetime(owner) }
        return try body(UnsafeBufferPointer(start: start, count: count))
    }
}

/// The gaps, or the lengths, of a batch of ranges.
public typealias UInt64Column = Column<UInt64>

/// A bitmap, or any other `bytes` field.
public typealias ByteColumn = Column<UInt8>

/// The memory is never changed while a column of it exists.
extension Column: @unchecked Sendable {}

extension Column: Hashable {
    public static func == (left: Self, right: Self) -> Bool {
        guard left.count == right.count else { return false }
        guard left.start != right.start else { return true }
        return left.withUnsafeBufferPointer { left in
            right.withUnsafeBufferPointer { right in left.elementsEqual(right) }
        }
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(count)
        withUnsafeBufferPointer { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
}

extension Column: ExpressibleByArrayLiteral {
    public init(arrayLiteral elements: Element...) {
        self.init(elements)
    }
}

extension Column: CustomStringConvertible {
    public var description: String {
        withUnsafeBufferPointer { Array($0).description }
    }
}

extension Array where Element: FixedWidthInteger & BitwiseCopyable & Sendable {
    /// A copy of a column.
    public init(_ column: Column<Element>) {
        self = column.withUnsafeBufferPointer { Array($0) }
    }
}

/// Memory that a column owns alone.
@usableFromInline
final class ColumnMemory<Element: BitwiseCopyable> {
    @usableFromInline let buffer: UnsafeMutableBufferPointer<Element>
    private let bytes: UnsafeMutableRawBufferPointer

    /// Memory for `capacity` elements, not initialised. The capacity is the program's own number; one that no memory
    /// can hold stops the program, as with an array.
    @usableFromInline
    init(capacity: Int) {
        bytes = MemoryPool.shared.take(capacity * MemoryLayout<Element>.stride)
        buffer = UnsafeMutableBufferPointer(
            start: bytes.baseAddress?.bindMemory(to: Element.self, capacity: capacity),
            count: capacity
        )
    }

    deinit {
        MemoryPool.shared.give(bytes)
    }
}

/// Collects the elements of a column in the memory that the column will keep.
///
/// With enough capacity reserved, `append` is a store and an addition; beyond it the memory doubles.
@frozen
public struct ColumnBuilder<Element: FixedWidthInteger & BitwiseCopyable & Sendable>: ~Copyable {
    @usableFromInline var memory: ColumnMemory<Element>

    @usableFromInline var filled = 0

    @inlinable
    public init(minimumCapacity: Int = 0) {
        memory = ColumnMemory(capacity: minimumCapacity)
    }

    /// The number of elements so far.
    @inlinable public var count: Int { filled }

    /// The number of elements that fit without more memory.
    @inlinable public var capacity: Int { memory.buffer.count }

    @inlinable public var isEmpty: Bool { filled == 0 }

    /// Makes room for `capacity` elements in all.
    @inlinable
    @inline(never)
    public mutating func reserveCapacity(_ capacity: Int) {
        guard capacity > memory.buffer.count else { return }
        let larger = ColumnMemory<Element>(capacity: capacity)
        _ = larger.buffer.initialize(fromContentsOf: memory.buffer.prefix(filled))
        memory = larger
    }

    @inlinable
    public mutating func append(_ element: Element) {
        if filled == memory.buffer.count {
            reserveCapacity(Swift.max(16, memory.buffer.count * 2))
        }
        memory.buffer.initializeElement(at: filled, to: element)
        filled &+= 1
    }

    /// Forgets the elements and keeps the memory.
    @inlinable
    public mutating func removeAll() {
        filled = 0
    }

    /// The column of the elements so far. It takes the memory with it, and the builder starts again without any.
    @inlinable
    public mutating func take() -> Column<Element> {
        let column = Column(start: UnsafePointer(memory.buffer.baseAddress), count: filled, owner: memory)
        memory = ColumnMemory(capacity: 0)
        filled = 0
        return column
    }
}

public typealias UInt64ColumnBuilder = ColumnBuilder<UInt64>
public typealias ByteColumnBuilder = ColumnBuilder<UInt8>

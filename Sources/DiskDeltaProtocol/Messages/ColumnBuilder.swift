/// Collects the elements of a column in the memory that the column will keep.
///
/// With enough capacity reserved, `append` is a store and an addition; beyond it the memory doubles.
public struct ColumnBuilder<Element: FixedWidthInteger & BitwiseCopyable & Sendable>: ~Copyable {
    @usableFromInline var buffer: UnsafeMutableBufferPointer<Element>

    @usableFromInline var filled = 0

    public init(minimumCapacity: Int = 0) {
        buffer = .allocate(capacity: minimumCapacity)
    }

    deinit {
        buffer.deallocate()
    }

    /// The number of elements so far.
    @inlinable public var count: Int { filled }

    /// The number of elements that fit without more memory.
    @inlinable public var capacity: Int { buffer.count }

    @inlinable public var isEmpty: Bool { filled == 0 }

    /// Makes room for `capacity` elements in all.
    public mutating func reserveCapacity(_ capacity: Int) {
        guard capacity > buffer.count else { return }
        let larger = UnsafeMutableBufferPointer<Element>.allocate(capacity: capacity)
        _ = larger.initialize(fromContentsOf: buffer.prefix(filled))
        buffer.deallocate()
        buffer = larger
    }

    @inlinable
    public mutating func append(_ element: Element) {
        if filled == buffer.count {
            reserveCapacity(Swift.max(16, buffer.count * 2))
        }
        buffer.initializeElement(at: filled, to: element)
        filled &+= 1
    }

    /// Forgets the elements and keeps the memory.
    @inlinable
    public mutating func removeAll() {
        filled = 0
    }

    /// The column of the elements so far. It takes the memory with it, and the builder starts again without any.
    public mutating func take() -> Column<Element> {
        let memory = ColumnMemory(adopting: buffer)
        let column = Column(start: UnsafePointer(buffer.baseAddress), count: filled, owner: memory)
        buffer = .allocate(capacity: 0)
        filled = 0
        return column
    }
}

public typealias UInt64ColumnBuilder = ColumnBuilder<UInt64>
public typealias ByteColumnBuilder = ColumnBuilder<UInt8>

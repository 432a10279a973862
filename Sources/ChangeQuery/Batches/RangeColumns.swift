internal import Glibc
internal import Synchronization

/// The gaps and lengths of a batch's ranges, each in its own column, in units.
///
/// The columns lie in memory of their own that does not move, so that they can be packed into a message without a copy. It is
/// the system's and goes back to it at once, and only what is written to takes any: a heap would keep, after a thousand
/// answers at a time, all that they touched. A few are kept for the next batch, whichever answer that is of: a batch lives
/// only until it is packed, so hundreds of answers at a time need no more columns than there are threads that make them.
///
/// Only `BatchBuilder` writes them, and only while nobody else holds the object.
public final class RangeColumns: @unchecked Sendable {
    /// The most ranges that one batch has.
    static let capacity = 131_072

    /// Stand where no columns are yet: there is room for nothing.
    static let none = RangeColumns()

    /// How many columns nobody uses are kept, of ``capacity``.
    static let maximumKept = 4
    /// Where they lie.
    private static let kept = Mutex<[UInt]>([])

    private let storage: UnsafeMutablePointer<UInt64>
    /// How many ranges there is room for.
    private let room: Int
    /// How many ranges there are; set when all of them are written.
    public private(set) var count = 0

    /// Throws `resourceLimit` where the system has no memory for them.
    init(room: Int) throws(QueryError) {
        self.room = room
        if room == Self.capacity, let kept = Self.kept.withLock({ $0.popLast() }),
            let memory = UnsafeMutablePointer<UInt64>(bitPattern: kept)
        {
            storage = memory
            return
        }
        let protection = PROT_READ | PROT_WRITE
        let memory = mmap(nil, Self.byteCount(room), protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let memory, memory != MAP_FAILED else {
            throw QueryError(.resourceLimit, "There is no memory for the ranges of another answer")
        }
        storage = memory.bindMemory(to: UInt64.self, capacity: 2 * room)
    }

    private init() {
        storage = .allocate(capacity: 1)
        room = 0
    }

    deinit {
        // Those without room live as long as the process.
        let isKept =
            room == Self.capacity
            && Self.kept.withLock { kept in
                guard kept.count < Self.maximumKept else { return false }
                kept.append(UInt(bitPattern: storage))
                return true
            }
        if !isKept { munmap(storage, Self.byteCount(room)) }
    }

    private static func byteCount(_ room: Int) -> Int { 2 * room * MemoryLayout<UInt64>.stride }

    /// For each range, the units between the end of the range before it (or the start of the batch) and its start. Valid
    /// as long as the object lives.
    public var gaps: UnsafeBufferPointer<UInt64> {
        UnsafeBufferPointer(start: storage, count: count)
    }

    /// For each range its length. Valid as long as the object lives.
    public var lengths: UnsafeBufferPointer<UInt64> {
        UnsafeBufferPointer(start: storage + room, count: count)
    }

    /// Writes the range at `index`. There is room: the builder closes a batch long before the columns are full.
    ///
    /// It touches nothing of the object that changes, so that a call costs no check for overlapping accesses.
    @inline(__always)
    func write(gap: UInt64, length: UInt64, at index: Int) {
        precondition(index >= 0 && index < room)
        (storage + index).initialize(to: gap)
        (storage + room + index).initialize(to: length)
    }

    /// Says how many ranges were written.
    func close(count: Int) {
        self.count = count
    }
}

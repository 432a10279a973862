internal import CDiskDeltaProto

/// The memory of one message: protobuf-c unpacks into it, and what is packed is laid out in it.
///
/// protobuf-c unfolds hostile bytes to as much as 68 times their length. So an arena has a budget: where an allocation
/// would pass it, protobuf-c is given NULL and fails cleanly. Memory is taken from the system in slabs as it is needed,
/// never the whole budget at once, and freed together with the arena.
///
/// Each allocation is preceded by its size. protobuf-c hands out a string as a bare pointer; the size tells whether the
/// string ends before its last byte, which means that it holds a NUL character.
///
/// An arena is filled by one thread and read by any number afterwards.
final class MessageArena {
    /// The longest payload that a frame can hold.
    static let maximumPayload = (1 << 24) - 1

    /// No message gets more than this. A payload of the greatest length that is all one-byte elements of columns needs
    /// eight times its length.
    static let maximumBudget = 144 << 20

    /// Every allocation starts at a multiple of this, which suits every type.
    static let alignment = 16

    /// A piece of memory, of which the first `size` bytes are the arena's.
    private struct Slab {
        let bytes: UnsafeMutableRawBufferPointer
        let start: UnsafeMutableRawPointer
        let size: Int
    }

    private var slabs: [Slab] = []
    /// The bytes of the last slab that are handed out.
    private var used = 0
    /// The bytes that may still be taken from the system.
    private var budget: Int
    private var nextSlabSize: Int

    /// Whether an allocation was refused.
    private(set) var isExhausted = false

    /// The bytes taken from the system.
    var reserved: Int { slabs.reduce(0) { $0 + $1.size } }

    init(budget: Int, firstSlabSize: Int = 1024) {
        self.budget = budget
        nextSlabSize = firstSlabSize
    }

    deinit {
        for slab in slabs { MemoryPool.shared.give(slab.bytes) }
    }

    /// The budget for unpacking a payload of `count` bytes; nil where the payload is too long.
    ///
    /// A column of one-byte elements needs eight times its length, a list of strings of three characters about thirteen
    /// times. The constant lets short messages hold what they like.
    static func budget(forPayloadOf count: Int) -> Int? {
        guard count >= 0, count <= maximumPayload else { return nil }
        return min(64 << 10 &+ 16 &* count, maximumBudget)
    }

    /// `size` bytes, uninitialised; nil where the budget does not allow it.
    func allocate(_ size: Int) -> UnsafeMutableRawPointer? {
        // The comparison comes before the addition, so that the sum cannot overflow.
        guard !isExhausted, size >= 0, size <= Int.max / 2 else { return refuse() }
        let rounded = (size &+ 2 &* Self.alignment &- 1) & ~(Self.alignment &- 1)
        if slabs.last.map({ $0.size &- used < rounded }) ?? true {
            guard rounded <= budget else { return refuse() }
            let size = max(rounded, min(nextSlabSize, budget))
            let bytes = MemoryPool.shared.take(size)
            guard let start = bytes.baseAddress else { return refuse() }
            slabs.append(Slab(bytes: bytes, start: start, size: size))
            budget &-= size
            nextSlabSize = min(nextSlabSize &* 2, 256 << 10)
            used = 0
        }
        guard let slab = slabs.last else { return refuse() }
        let header = slab.start + used
        header.storeBytes(of: size, as: Int.self)
        used &+= rounded
        return header + Self.alignment
    }

    /// The size of the allocation that starts at `pointer`; nil where the memory is not the arena's.
    func allocatedSize(at pointer: UnsafeRawPointer) -> Int? {
        let isInside = slabs.contains { slab in
            pointer > UnsafeRawPointer(slab.start) && pointer <= UnsafeRawPointer(slab.start + slab.size)
        }
        return isInside ? (pointer - Self.alignment).load(as: Int.self) : nil
    }

    /// Runs `body` with an allocator of protobuf-c that takes from this arena and never gives back.
    func withAllocator<Result>(_ body: (UnsafeMutablePointer<ProtobufCAllocator>) -> Result) -> Result {
        var allocator = ProtobufCAllocator(
            alloc: { data, size in
                guard let data, let size = Int(exactly: size) else { return nil }
                return Unmanaged<MessageArena>.fromOpaque(data).takeUnretainedValue().allocate(size)
            },
            free: { _, _ in },
            allocator_data: Unmanaged.passUnretained(self).toOpaque()
        )
        return withExtendedLifetime(self) { body(&allocator) }
    }

    private func refuse() -> UnsafeMutableRawPointer? {
        isExhausted = true
        return nil
    }
}

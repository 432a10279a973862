internal import Synchronization

/// Large pieces of memory that are used again.
///
/// The system takes a large piece back when it is freed, and fills the next with empty pages one fault at a time: for a
/// batch of ranges that costs more than reading it. So the columns of batches and the arenas of messages keep some pieces.
/// Small pieces, and very large ones, come from the system and go back to it.
final class MemoryPool: Sendable {
    static let shared = MemoryPool()

    /// The sizes that are kept. A column of the batches that are usual has 0.25 to 2 MiB.
    static let keptSizes = (64 << 10)...(4 << 20)

    private struct Piece: @unchecked Sendable {
        let bytes: UnsafeMutableRawBufferPointer
    }

    private struct State {
        var pieces: [Piece] = []
        var size = 0
    }

    private let limit: Int
    private let state = Mutex(State())

    /// - Parameter limit: The bytes that are kept at most.
    init(limit: Int = 16 << 20) {
        self.limit = limit
    }

    deinit {
        for piece in state.withLock({ $0.pieces }) { piece.bytes.deallocate() }
    }

    /// The bytes that are kept now.
    var size: Int { state.withLock { $0.size } }

    /// At least `size` bytes, not initialised, aligned for every type.
    func take(_ size: Int) -> UnsafeMutableRawBufferPointer {
        guard Self.keptSizes.contains(size) else { return .allocate(byteCount: size, alignment: 16) }
        // Sizes that differ a little are made the same, so that a piece suits the next batch too.
        let step = Self.keptSizes.lowerBound
        let rounded = (size &+ step &- 1) / step &* step
        let kept = state.withLock { state -> Piece? in
            guard let index = state.pieces.lastIndex(where: { (rounded...2 &* rounded).contains($0.bytes.count) })
            else {
                return nil
            }
            let piece = state.pieces.remove(at: index)
            state.size &-= piece.bytes.count
            return piece
        }
        return kept?.bytes ?? .allocate(byteCount: rounded, alignment: 16)
    }

    /// Takes back what `take` gave.
    func give(_ bytes: UnsafeMutableRawBufferPointer) {
        let piece = Piece(bytes: bytes)
        let isKept = state.withLock { state in
            guard Self.keptSizes.contains(piece.bytes.count), piece.bytes.count <= limit &- state.size else {
                return false
            }
            state.pieces.append(piece)
            state.size &+= piece.bytes.count
            return true
        }
        if !isKept { bytes.deallocate() }
    }
}

import Testing

@testable import DiskDeltaProtocol

@Suite struct MemoryPoolTests {
    @Test func aPieceIsUsedAgain() {
        let pool = MemoryPool()
        let first = pool.take(500_000)
        #expect(first.count >= 500_000)
        pool.give(first)
        #expect(pool.size == first.count)
        // A little more or less than before is the same piece.
        let second = pool.take(510_000)
        #expect(second.baseAddress == first.baseAddress)
        #expect(pool.size == 0)
        pool.give(second)
    }

    @Test func aPieceOfAnotherSizeIsNotWasted() {
        let pool = MemoryPool()
        pool.give(pool.take(4 << 20))
        let small = pool.take(100_000)
        #expect(small.count < 200_000)
        #expect(pool.size == 4 << 20)
        pool.give(small)
    }

    @Test(arguments: [0, 1, 1000, (64 << 10) - 1, (4 << 20) + 1])
    func smallAndVeryLargePiecesAreNotKept(size: Int) {
        let pool = MemoryPool()
        let bytes = pool.take(size)
        #expect(bytes.count == size)
        pool.give(bytes)
        #expect(pool.size == 0)
    }

    @Test func theLimitIsNeverPassed() {
        let pool = MemoryPool(limit: 1 << 20)
        let pieces = (0..<10).map { _ in pool.take(200_000) }
        for piece in pieces { pool.give(piece) }
        #expect(pool.size > 0)
        #expect(pool.size <= 1 << 20)
    }

    @Test func piecesInUseAreApart() {
        let pool = MemoryPool()
        var pieces = (0..<20).map { _ in pool.take(100_000) }
        for piece in pieces.prefix(10) { pool.give(piece) }
        pieces = pieces.dropFirst(10) + (0..<10).map { _ in pool.take(100_000) }
        for (number, piece) in pieces.enumerated() { piece.initializeMemory(as: UInt8.self, repeating: UInt8(number)) }
        for (number, piece) in pieces.enumerated() { #expect(piece.allSatisfy { $0 == UInt8(number) }) }
        for piece in pieces { pool.give(piece) }
    }
}

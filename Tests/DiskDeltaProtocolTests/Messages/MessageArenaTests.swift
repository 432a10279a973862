import Testing

@testable import DiskDeltaProtocol

@Suite struct MessageArenaTests {
    @Test func allocationsAreAlignedAndApart() throws {
        let arena = MessageArena(budget: 1 << 20)
        var end: [UInt: Int] = [:]
        for size in [0, 1, 7, 16, 17, 1000, 5000, 3, 300_000, 1] {
            let pointer = try #require(arena.allocate(size))
            #expect(UInt(bitPattern: pointer) % 16 == 0)
            #expect(arena.allocatedSize(at: pointer) == size)
            pointer.initializeMemory(as: UInt8.self, repeating: 0xAB, count: size)
            end[UInt(bitPattern: pointer)] = size
        }
        for (address, size) in end {
            #expect(!end.keys.contains { $0 > address && $0 < address + UInt(size) })
        }
    }

    @Test func theBudgetIsNeverPassed() {
        let arena = MessageArena(budget: 10_000)
        var count = 0
        while arena.allocate(100) != nil { count += 1 }
        #expect(count > 50)
        #expect(arena.reserved <= 10_000)
        #expect(arena.isExhausted)
        // What is refused once stays refused, so that half a message is never taken for a whole one.
        #expect(arena.allocate(1) == nil)
    }

    @Test(arguments: [Int.max, Int.max - 15, Int.max / 2, -1, Int.min, 10_001])
    func anAbsurdSizeIsRefused(size: Int) {
        let arena = MessageArena(budget: 10_000)
        #expect(arena.allocate(size) == nil)
        #expect(arena.reserved == 0)
    }

    @Test func memoryIsTakenAsItIsNeeded() {
        let arena = MessageArena(budget: 100 << 20)
        #expect(arena.allocate(10) != nil)
        #expect(arena.reserved <= 4096)
    }

    @Test func foreignMemoryIsNotTheArenas() {
        let arena = MessageArena(budget: 10_000)
        withUnsafeBytes(of: 1) { bytes in
            #expect(bytes.baseAddress.map { arena.allocatedSize(at: $0) } == .some(nil))
        }
    }

    @Test func theBudgetFollowsThePayload() {
        #expect(MessageArena.budget(forPayloadOf: 0) == 65_536)
        #expect(MessageArena.budget(forPayloadOf: 262_144) == 65_536 + 16 * 262_144)
        #expect(MessageArena.budget(forPayloadOf: (1 << 24) - 1) == MessageArena.maximumBudget)
        #expect(MessageArena.budget(forPayloadOf: 1 << 24) == nil)
        #expect(MessageArena.budget(forPayloadOf: .max) == nil)
        #expect(MessageArena.budget(forPayloadOf: -1) == nil)
    }
}

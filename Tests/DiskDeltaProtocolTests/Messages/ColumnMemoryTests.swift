import Testing

@testable import DiskDeltaProtocol

/// The columns of a batch are never copied: not when it is packed, not when it is unpacked.
@Suite struct ColumnMemoryTests {
    @Test func anUnpackedColumnLiesInTheArena() throws {
        let numbers = Array(1000..<3000 as Range<UInt64>)
        let bytes = try RangeRuns(gap: UInt64Column(numbers), zero: ByteColumn([UInt8](repeating: 7, count: 300)))
            .encode()
        let arena = MessageArena(budget: 1 << 20)
        let runs = try bytes.withUnsafeBytes { bytes in try RangeRuns.decoded(bytes, in: arena) }
        #expect(allocatedSize(runs.gap, in: arena) == numbers.count * 8)
        #expect(allocatedSize(runs.zero, in: arena) == 300)
        #expect(Array(runs.gap) == numbers)
    }

    @Test func aColumnOutlivesItsMessage() throws {
        let bytes = try RangeRuns(gap: [1, 2, 300]).encode()
        var gap = UInt64Column()
        weak var arena: MessageArena?
        try bytes.withUnsafeBytes { bytes in
            let local = MessageArena(budget: 1 << 16)
            gap = try RangeRuns.decoded(bytes, in: local).gap
            arena = local
        }
        #expect(arena != nil)
        #expect(Array(gap) == [1, 2, 300])
        gap = UInt64Column()
        #expect(arena == nil)
    }

    @Test func aMessageWithoutColumnsLetsItsArenaGo() throws {
        let bytes = try VirtualHardDiskRequest(path: "p").encode()
        weak var arena: MessageArena?
        let request = try bytes.withUnsafeBytes { bytes in
            let local = MessageArena(budget: 1 << 16)
            arena = local
            return try VirtualHardDiskRequest.decoded(bytes, in: local)
        }
        #expect(request.path == "p")
        #expect(arena == nil)
    }

    @Test func packingReadsAColumnWhereItLies() throws {
        let gap = UInt64Column([UInt64](repeating: 1, count: 100_000))
        let zero = ByteColumn([UInt8](repeating: 1, count: 100_000))
        let arena = MessageArena(budget: .max)
        #expect(UnsafePointer(arena.lend(gap)) == gap.withUnsafeBufferPointer { $0.baseAddress })
        let encoding = try RangeAnswer(part: .runs(RangeRuns(gap: gap, zero: zero))).prepareEncoding()
        #expect(encoding.byteCount > 200_000)
        #expect(encoding.arena.reserved <= 4096)
    }

    @Test func anEncodingKeepsTheColumnsItWillPack() throws {
        let encoding: MessageEncoding
        let expected: [UInt8]
        do {
            let runs = RangeRuns(gap: UInt64Column(Array(0..<5000)))
            expected = try runs.encode()
            encoding = try runs.prepareEncoding()
        }
        var buffer = [UInt8](repeating: 0xEE, count: encoding.byteCount + 1)
        let written = buffer.withUnsafeMutableBytes { encoding.write(into: $0) }
        #expect(written == expected.count)
        #expect(buffer.dropLast() == expected[...])
        #expect(buffer.last == 0xEE)
    }

    private final class Lender {
        let buffer = UnsafeMutableBufferPointer<UInt64>.allocate(capacity: 4)

        init() {
            buffer.initialize(repeating: 9)
        }

        deinit {
            buffer.deallocate()
        }
    }

    @Test func anAliasingColumnKeepsItsOwner() throws {
        weak var owner: Lender?
        var column = UInt64Column()
        do {
            let lender = Lender()
            owner = lender
            column = UInt64Column(aliasing: UnsafeBufferPointer(lender.buffer), owner: lender)
            #expect(column.withUnsafeBufferPointer { $0.baseAddress } == UnsafePointer(lender.buffer.baseAddress))
        }
        #expect(owner != nil)
        #expect(Array(column) == [9, 9, 9, 9])
        column = UInt64Column()
        #expect(owner == nil)
    }

    private func allocatedSize<Element>(_ column: Column<Element>, in arena: MessageArena) -> Int? {
        column.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.flatMap { arena.allocatedSize(at: $0) }
        }
    }
}

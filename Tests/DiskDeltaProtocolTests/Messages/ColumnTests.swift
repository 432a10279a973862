import DiskDeltaProtocol
import Testing

@Suite struct ColumnTests {
    @Test func aColumnHoldsWhatItWasMadeFrom() {
        let numbers: [UInt64] = [0, 7, .max]
        let column = UInt64Column(numbers)
        #expect(column.count == 3)
        #expect(Array(column) == numbers)
        #expect(column.withSpan { span in span.indices.map { span[$0] } } == numbers)
        #expect(column.description == numbers.description)
    }

    @Test func anEmptyColumnLendsNothing() {
        for column in [UInt64Column(), [], UInt64Column([]), UInt64Column(capacity: 8) { _, _ in }] {
            #expect(column.isEmpty)
            #expect(column.withSpan { $0.count } == 0)
            #expect(column == UInt64Column())
        }
    }

    @Test func equalityAndHashGoByContent() {
        let left: UInt64Column = [1, 2, 3]
        let right = UInt64Column([1, 2, 3])
        #expect(left == right)
        #expect(left.hashValue == right.hashValue)
        #expect(left != [1, 2])
        #expect(left != [1, 2, 4])
        #expect(Set([left, right, [3, 2, 1]]).count == 2)
    }

    @Test func copiesShareTheirMemory() {
        let column: UInt64Column = [1, 2, 3]
        let copy = column
        let address = column.withUnsafeBufferPointer { UInt(bitPattern: $0.baseAddress) }
        #expect(copy.withUnsafeBufferPointer { UInt(bitPattern: $0.baseAddress) } == address)
    }

    @Test func aColumnIsFilledInPlace() {
        let column = ByteColumn(capacity: 100) { buffer, count in
            for index in 0..<10 { buffer.initializeElement(at: index, to: UInt8(index)) }
            count = 10
        }
        #expect(Array(column) == Array(0..<10))
    }

    private struct Refusal: Error, Equatable {}

    @Test func theErrorOfAFillComesThrough() {
        #expect(throws: Refusal()) {
            try ByteColumn(capacity: 8) { (_, _) throws(Refusal) in throw Refusal() }
        }
        #expect(throws: Refusal()) {
            try UInt64Column([1]).withSpan { (_) throws(Refusal) in throw Refusal() }
        }
    }

    @Test func aBuilderGrowsAsNeeded() {
        var builder = UInt64ColumnBuilder()
        for number in 0..<1000 as Range<UInt64> { builder.append(number) }
        let count = builder.count
        #expect(count == 1000)
        let column = builder.take()
        #expect(Array(column) == Array(0..<1000))
    }

    @Test func aTakenColumnStaysWhenTheBuilderGoesOn() {
        var builder = UInt64ColumnBuilder(minimumCapacity: 4)
        for number in 0..<4 as Range<UInt64> { builder.append(number) }
        let capacity = builder.capacity
        #expect(capacity == 4)
        let first = builder.take()
        let isEmpty = builder.isEmpty
        #expect(isEmpty)
        for number in 10..<30 as Range<UInt64> { builder.append(number) }
        let second = builder.take()
        let third = builder.take()
        #expect(Array(first) == [0, 1, 2, 3])
        #expect(Array(second) == Array(10..<30))
        #expect(third.isEmpty)
    }

    @Test func removeAllKeepsTheMemory() {
        var builder = ByteColumnBuilder(minimumCapacity: 64)
        builder.append(1)
        builder.removeAll()
        var capacity = builder.capacity
        #expect(capacity == 64)
        builder.append(2)
        builder.reserveCapacity(128)
        capacity = builder.capacity
        let column = builder.take()
        #expect(capacity == 128)
        #expect(Array(column) == [2])
    }
}

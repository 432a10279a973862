import ByteReading
import Testing

@Suite struct RawSpanReadingTests {
    private let bytes: [UInt8] = [0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0xF8, 0xF9]

    @Test func bothOrdersOfBytes() throws {
        #expect(try bytes.span.bytes.littleEndian(UInt16.self, at: 0) == 0x0201)
        #expect(try bytes.span.bytes.bigEndian(UInt16.self, at: 0) == 0x0102)
        #expect(try bytes.span.bytes.littleEndian(UInt64.self, at: 1) == 0xF9F8_0706_0504_0302)
        #expect(try bytes.span.bytes.bigEndian(UInt64.self, at: 1) == 0x0203_0405_0607_F8F9)
        #expect(try bytes.span.bytes.littleEndian(Int16.self, at: 7) == Int16(bitPattern: 0xF9F8))
        #expect(try bytes.span.bytes.bigEndian(UInt8.self, at: 8) == 0xF9)
    }

    @Test func everyPieceIsCopiedAsItIs() throws {
        for offset in 0...bytes.count {
            for count in 0...bytes.count - offset {
                #expect(
                    try bytes.span.bytes.copyBytes(at: offset, count: count) == Array(bytes[offset..<offset + count])
                )
            }
        }
    }

    @Test func nothingIsCopiedFromAnEmptySpan() throws {
        let nothing: [UInt8] = []
        #expect(try nothing.span.bytes.copyBytes(at: 0, count: 0).isEmpty)
        #expect(throws: OutOfBounds(offset: 0, count: 1, available: 0)) {
            try nothing.span.bytes.copyBytes(at: 0, count: 1)
        }
    }

    @Test(arguments: [(9, 1), (0, 10), (-1, 1), (3, -1), (.max, 1), (1, .max), (.max, .max), (.min, .max)])
    func whatIsNotThereIsRefused(offset: Int, count: Int) {
        let expected = OutOfBounds(offset: offset, count: count, available: 9)
        #expect(throws: expected) { try bytes.span.bytes.copyBytes(at: offset, count: count) }
        #expect(throws: expected) { try bytes.span.bytes.check(offset: offset, count: count) }
    }

    @Test func anIntegerThatReachesPastTheEndIsRefused() {
        for offset in [2, 9, 10, -1, Int.max, Int.min] {
            #expect(throws: OutOfBounds(offset: offset, count: 8, available: 9)) {
                try bytes.span.bytes.littleEndian(UInt64.self, at: offset)
            }
            #expect(throws: OutOfBounds(offset: offset, count: 8, available: 9)) {
                try bytes.span.bytes.bigEndian(UInt64.self, at: offset)
            }
        }
    }
}

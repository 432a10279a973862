import Testing

@testable import ChangeQuery

/// The rules of "Windows and granularity" in the contract of the command line.
@Suite("Windows")
struct WindowTests {
    private func window(_ offset: UInt64, _ length: UInt64?, size: UInt64 = 1 << 20, sector: UInt64 = 512)
        throws(QueryError) -> [UInt64]
    {
        let window = try Window(offset: offset, length: length, size: size, sector: sector)
        #expect(window.length == window.end - window.start)
        return [window.start, window.end]
    }

    private func refusal(_ offset: UInt64, _ length: UInt64?, size: UInt64 = 1 << 20, sector: UInt64 = 512)
        -> QueryError.Code?
    {
        #expect(throws: QueryError.self) { try window(offset, length, size: size, sector: sector) }?.code
    }

    @Test func withoutALengthItGoesToTheEnd() throws {
        #expect(try window(0, nil) == [0, 1 << 20])
        #expect(try window(512, nil) == [512, 1 << 20])
    }

    @Test func aLengthInsideTheDisk() throws {
        #expect(try window(512, 1024) == [512, 1536])
        #expect(try window((1 << 20) - 512, 512) == [(1 << 20) - 512, 1 << 20])
    }

    @Test func aLengthOfTheDisksSizeIsAccepted() throws {
        #expect(try window(0, 1 << 20) == [0, 1 << 20])
    }

    @Test func aLengthPastTheEndIsClippedAndNeedNotBeAMultiple() throws {
        #expect(try window(0, (1 << 20) + 1) == [0, 1 << 20])
        #expect(try window((1 << 20) - 512, 513) == [(1 << 20) - 512, 1 << 20])
        #expect(try window(512, 1 << 20) == [512, 1 << 20])
    }

    @Test func offsetAndLengthThatAddUpToMoreThanANumberHolds() throws {
        #expect(try window(512, .max) == [512, 1 << 20])
        #expect(try window((1 << 20) - 512, .max - 511) == [(1 << 20) - 512, 1 << 20])
        #expect(try window(1 << 20, .max) == [1 << 20, 1 << 20])
        #expect(refusal(.max - 511, .max) == .offsetOutOfRange)
        #expect(refusal(.max, 1) == .offsetOutOfRange)
    }

    @Test func anOffsetEqualToTheSizeIsEmpty() throws {
        #expect(try window(1 << 20, nil) == [1 << 20, 1 << 20])
        #expect(try window(1 << 20, 0) == [1 << 20, 1 << 20])
        #expect(try window(1 << 20, 77) == [1 << 20, 1 << 20])
        #expect(try window(1000, nil, size: 1000) == [1000, 1000])
        #expect(try window(0, nil, size: 0) == [0, 0])
    }

    @Test func beyondTheSizeIsOutOfRange() {
        #expect(refusal((1 << 20) + 1, nil) == .offsetOutOfRange)
        #expect(refusal((1 << 20) + 512, 0) == .offsetOutOfRange)
        #expect(refusal(1, nil, size: 0) == .offsetOutOfRange)
    }

    @Test func aLengthOfZeroIsEmpty() throws {
        #expect(try window(0, 0) == [0, 0])
        #expect(try window(4096, 0) == [4096, 4096])
    }

    @Test func valuesThatAreNoMultipleOfTheSector() {
        #expect(refusal(1, nil) == .invalidParameter)
        #expect(refusal(511, 512) == .invalidParameter)
        #expect(refusal(0, 1) == .invalidParameter)
        #expect(refusal(512, 513) == .invalidParameter)
        #expect(refusal(512, nil, sector: 4096) == .invalidParameter)
        #expect(refusal(0, 512, sector: 4096) == .invalidParameter)
        #expect(refusal((1 << 20) - 511, 0) == .invalidParameter)
    }
}

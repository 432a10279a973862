/// What each sector of a short run of sectors is, in words of 64 bits, least significant bit first: `data`, `unmapped`, or
/// `absent` where it has neither bit.
///
/// It is a buffer that is filled again and again: its storage is allocated once.
public struct SectorMask: Sendable {
    /// The most sectors one mask describes: a 32 MiB run of 512-byte sectors, 8 KiB of bits.
    public static let capacity = 65_536

    /// A bit for each sector that holds data. Bits at and above `count` are zero.
    public private(set) var words: [UInt64]

    /// A bit for each sector that is unmapped, where `hasZeroes`; otherwise it is not to be read. Bits at and above `count`
    /// are zero, and so are those that `words` has.
    public private(set) var zeroWords: [UInt64]

    /// Whether any sector may be unmapped. Most formats have no such thing, and then nobody looks at `zeroWords`.
    public private(set) var hasZeroes: Bool

    /// How many sectors the mask describes.
    public private(set) var count: Int

    /// A mask of no sectors, with room for `capacity`.
    public init() {
        words = [UInt64](repeating: 0, count: Self.capacity / 64)
        zeroWords = []
        hasZeroes = false
        count = 0
    }

    /// Makes this a mask of `count` sectors, above 0 and at most `capacity`, that are data or absent. `body` gets the whole
    /// storage and how many words of it the mask has, and must write every one of those; bits at and above `count` are
    /// cleared afterwards.
    public mutating func fill(
        count: Int,
        _ body: (inout MutableSpan<UInt64>, _ wordCount: Int) throws(ImageError) -> Void
    ) throws(ImageError) {
        let wordCount = start(count: count, hasZeroes: false)
        var span = words.mutableSpan
        try body(&span, wordCount)
        clearRest(of: &words)
    }

    /// As above, for sectors that may be unmapped as well: `body` writes every word of both, and no sector has a bit in both.
    public mutating func fillWithZeroes(
        count: Int,
        _ body: (
            _ data: inout MutableSpan<UInt64>, _ zeroes: inout MutableSpan<UInt64>, _ wordCount: Int
        ) throws(ImageError) -> Void
    ) throws(ImageError) {
        let wordCount = start(count: count, hasZeroes: true)
        if zeroWords.isEmpty { zeroWords = [UInt64](repeating: 0, count: Self.capacity / 64) }
        try Self.lend(&words, &zeroWords, wordCount, to: body)
        clearRest(of: &words)
        clearRest(of: &zeroWords)
    }

    /// Apart from `self`, the compiler sees that the two are different storage.
    private static func lend(
        _ words: inout [UInt64],
        _ zeroWords: inout [UInt64],
        _ wordCount: Int,
        to body: (inout MutableSpan<UInt64>, inout MutableSpan<UInt64>, Int) throws(ImageError) -> Void
    ) throws(ImageError) {
        var data = words.mutableSpan
        var zeroes = zeroWords.mutableSpan
        try body(&data, &zeroes, wordCount)
    }

    private mutating func start(count: Int, hasZeroes: Bool) -> Int {
        self.count = min(max(count, 1), Self.capacity)
        self.hasZeroes = hasZeroes
        return (self.count + 63) / 64
    }

    private func clearRest(of words: inout [UInt64]) {
        if count % 64 != 0 { words[count / 64] &= (1 << UInt64(count % 64)) - 1 }
    }
}

extension MutableSpan<UInt64> {
    /// Copies `source` to the start: at most as many words as there are.
    mutating func copy(_ source: ArraySlice<UInt64>) {
        let count = Swift.min(source.count, self.count)
        withUnsafeMutableBufferPointer { target in
            _ = UnsafeMutableBufferPointer(rebasing: target[..<count]).update(fromContentsOf: source.prefix(count))
        }
    }
}

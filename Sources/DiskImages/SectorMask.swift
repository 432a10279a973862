/// A bit for each sector of a short run of sectors, in words of 64, least significant bit first.
///
/// It is a buffer that is filled again and again: its storage is allocated once.
public struct SectorMask: Sendable {
    /// The most sectors one mask describes: a 32 MiB run of 512-byte sectors, 8 KiB of bits.
    public static let capacity = 65_536

    /// The bits. Those at and above `count` are zero.
    public private(set) var words: [UInt64]

    /// How many sectors the mask describes.
    public private(set) var count: Int

    /// A mask of no sectors, with room for `capacity`.
    public init() {
        words = [UInt64](repeating: 0, count: Self.capacity / 64)
        count = 0
    }

    /// Makes this a mask of `count` sectors, above 0 and at most `capacity`. `body` gets the whole storage and how many
    /// words of it the mask has, and must write every one of those; bits at and above `count` are cleared afterwards.
    public mutating func fill(
        count: Int,
        _ body: (inout MutableSpan<UInt64>, _ wordCount: Int) throws(ImageError) -> Void
    ) throws(ImageError) {
        let count = min(max(count, 1), Self.capacity)
        self.count = count
        let wordCount = (count + 63) / 64
        var span = words.mutableSpan
        try body(&span, wordCount)
        if count % 64 != 0 { words[wordCount - 1] &= (1 << UInt64(count % 64)) - 1 }
    }
}

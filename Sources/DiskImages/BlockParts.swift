/// A stretch of a virtual disk, cut where its blocks begin.
struct BlockParts: Sequence, IteratorProtocol {
    /// What of the stretch lies in one block.
    struct Part {
        let block: UInt64
        /// From the start of the block, in bytes.
        let range: Range<UInt64>
        /// Where the part begins and ends in a buffer that holds the whole stretch.
        let inBuffer: Range<Int>
    }

    private let start: UInt64
    private let end: UInt64
    private let blockShift: UInt64
    private var position: UInt64

    /// - Parameters:
    ///   - offset: where the stretch begins, in bytes of the virtual disk.
    ///   - count: how many bytes it has, all inside the disk.
    ///   - blockShift: how many bytes a block has, as a power of two.
    init(at offset: UInt64, count: UInt64, blockShift: UInt64) {
        start = offset
        end = offset + count
        self.blockShift = blockShift
        position = offset
    }

    mutating func next() -> Part? {
        guard position < end else { return nil }
        let block = position >> blockShift
        let blockStart = block << blockShift
        let partEnd = Swift.min(end, blockStart + 1 << blockShift)
        defer { position = partEnd }
        return Part(
            block: block,
            range: position - blockStart..<partEnd - blockStart,
            inBuffer: Int(position - start)..<Int(partEnd - start)
        )
    }
}

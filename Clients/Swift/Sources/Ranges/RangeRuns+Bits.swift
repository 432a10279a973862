internal import DiskDeltaProtocol

extension RangeRuns {
    /// The runs of set bits as ranges that hold data. Nil where a bit at or above `units` is set.
    ///
    /// - Parameter bits: a bit for each unit, least significant first, in exactly as many bytes as `units` need.
    init?(runsOf bits: Span<UInt8>, units: Int, processedEnd: UInt64) {
        var gaps = UInt64ColumnBuilder(minimumCapacity: 1024)
        var lengths = UInt64ColumnBuilder(minimumCapacity: 1024)
        var runStart: Int?
        var previousEnd = 0
        var index = 0
        while index < bits.count {
            // Eight bytes at a time; the last may be fewer.
            var word: UInt64 = 0
            let bytes = min(8, bits.count - index)
            for byte in 0..<bytes { word |= UInt64(bits[index + byte]) << UInt64(8 * byte) }
            let base = index * 8
            var position = 0
            while position < 64 {
                if let start = runStart {
                    let clear = ~word >> UInt64(position)
                    guard clear != 0 else { break }
                    position += clear.trailingZeroBitCount
                    gaps.append(UInt64(start - previousEnd))
                    lengths.append(UInt64(base + position - start))
                    previousEnd = base + position
                    runStart = nil
                } else {
                    let set = word >> UInt64(position)
                    guard set != 0 else { break }
                    position += set.trailingZeroBitCount
                    runStart = base + position
                }
            }
            index += bytes
        }
        if let start = runStart {
            gaps.append(UInt64(start - previousEnd))
            lengths.append(UInt64(bits.count * 8 - start))
            previousEnd = bits.count * 8
        }
        guard previousEnd <= units else { return nil }
        self.init(processedEnd: processedEnd, gap: gaps.take(), length: lengths.take())
    }
}

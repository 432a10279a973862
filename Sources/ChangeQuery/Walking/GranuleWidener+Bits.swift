/// Ranges that come as bits, one for each sector. Whole words are skipped or taken at a time; inside a word each range
/// costs two counts of trailing zeroes.
extension GranuleWidener {
    /// Takes a data range for each run of set bits. The first bit stands for the sector at `start`; bits that stand for
    /// sectors at or above `end` are clear.
    mutating func add(runsOf bits: Span<UInt64>, from start: UInt64, to end: UInt64, sector: UInt64) {
        let shift = UInt64(sector.trailingZeroBitCount)
        let words = Int((((end - start + sector - 1) >> shift) + 63) >> 6)
        var runStart: UInt64?
        for index in 0..<words {
            let word = bits[index]
            let base = start + (UInt64(index) << (6 + shift))
            if word == 0 {
                if let from = runStart { add(from: from, to: base, kind: .data) }
                runStart = nil
                continue
            }
            var position: UInt64 = 0
            while position < 64 {
                if let from = runStart {
                    let clear = ~word >> position
                    guard clear != 0 else { break }
                    position += UInt64(clear.trailingZeroBitCount)
                    add(from: from, to: base + (position << shift), kind: .data)
                    runStart = nil
                } else {
                    let set = word >> position
                    guard set != 0 else { break }
                    position += UInt64(set.trailingZeroBitCount)
                    runStart = base + (position << shift)
                }
            }
        }
        if let runStart { add(from: runStart, to: end, kind: .data) }
    }

    /// As above, with `zero` telling the sectors that changed to zeroes. No sector has a bit in both; bits of `zero` for
    /// sectors at or above `end` do not matter.
    mutating func add(
        data: Span<UInt64>,
        zero: Span<UInt64>,
        from start: UInt64,
        to end: UInt64,
        sector: UInt64
    ) {
        let count = (end - start + sector - 1) / sector
        var position: UInt64 = 0
        while position < count {
            let word = Int(position / 64)
            let bit = position % 64
            let isData = data[word] >> bit & 1 == 1
            let isZero = zero[word] >> bit & 1 == 1
            // The bits that are set where the content is another one than here.
            let other = isData ? ~data[word] : isZero ? ~zero[word] : data[word] | zero[word]
            let run = min(UInt64((other >> bit).trailingZeroBitCount), 64 - bit, count - position)
            if isData || isZero {
                let from = start + position * sector
                add(from: from, to: min(from + run * sector, end), kind: isData ? .data : .zero)
            }
            position += run
        }
    }
}

/// Ranges that come as bits, one for each sector. Whole words are skipped or taken at a time; inside a word each edge
/// of a range costs one count of trailing zeroes.
extension GranuleWidener {
    /// Takes a data range for each run of set bits. The first bit stands for the sector at `start`; bits that stand for
    /// sectors at or above `end` are clear.
    mutating func add(runsOf bits: Span<UInt64>, from start: UInt64, to end: UInt64, sector: UInt64) {
        let shift = UInt64(sector.trailingZeroBitCount)
        let words = Int((((end - start + sector - 1) >> shift) + 63) >> 6)
        var isOpen = false
        var runStart = start
        var index = 0
        while index < words {
            // Most of a disk does not change: eight words without a bit cost one look.
            if !isOpen, index + 8 <= words, bits.areClear(index..<(index + 8)) {
                index += 8
                continue
            }
            let word = bits[index]
            // A bit for each sector that is not like the one before it.
            var edges = word ^ (word << 1 | (isOpen ? 1 : 0))
            let base = start + (UInt64(index) << (6 + shift))
            while edges != 0 {
                let place = base + (UInt64(edges.trailingZeroBitCount) << shift)
                edges &= edges - 1
                if isOpen {
                    // The disk's very end may lie inside its last sector.
                    add(from: runStart, to: min(place, end), kind: .data)
                } else {
                    runStart = place
                }
                isOpen.toggle()
            }
            index += 1
        }
        if isOpen { add(from: runStart, to: end, kind: .data) }
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

extension Span<UInt64> {
    /// Whether eight words have no bit at all.
    @inline(__always)
    fileprivate func areClear(_ range: Range<Int>) -> Bool {
        let words = extracting(range)
        return words[0] | words[1] | words[2] | words[3] | words[4] | words[5] | words[6] | words[7] == 0
    }
}

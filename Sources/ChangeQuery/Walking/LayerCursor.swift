internal import DiskImages

/// Walks over one layer in ascending order and remembers the extent it is in, so that a layer with large blocks is not
/// asked again at every step of a layer with small ones.
struct LayerCursor {
    /// What the layer says from the position asked about up to `end`.
    struct View {
        var end: UInt64
        /// Nil where sectors differ: the cursor's mask tells them apart.
        var content: SectorContent?
    }

    private let map: any SectorMap
    private let size: UInt64
    /// In bytes: what a word of a mask describes.
    private let wordSpan: UInt64
    private let sector: UInt64
    private var mask = SectorMask()
    private var start: UInt64 = 0
    private var end: UInt64 = 0
    private var content: SectorContent? = .absent

    init(_ map: any SectorMap) {
        self.map = map
        size = map.size
        sector = UInt64(map.sectorSize)
        wordSpan = 64 * sector
    }

    /// What the layer says at `offset`; structures that only concern bytes at or above `limit` are not read.
    ///
    /// Beyond its own end a layer reads as zeroes, whatever is below it: it was smaller once than the disk is now.
    mutating func view(at offset: UInt64, limit: UInt64) throws(QueryError) -> View {
        guard offset < size else { return View(end: .max, content: .unmapped) }
        if offset < start || offset >= end {
            let from = offset - offset % wordSpan
            let rest = (limit % wordSpan == 0) ? 0 : wordSpan - limit % wordSpan
            let to = limit >= size || size - limit <= rest ? size : limit + rest
            do throws(ImageError) {
                switch try map.extent(at: from, limit: to, into: &mask) {
                case .uniform(let uniform, let end):
                    content = uniform
                    self.end = end
                case .mixed(let end):
                    content = nil
                    self.end = end
                }
            } catch {
                throw QueryError(error)
            }
            start = from
        }
        return View(end: end, content: content)
    }

    /// Whether the current mixed extent has sectors that are unmapped.
    var hasZeroes: Bool { mask.hasZeroes }

    /// Writes to `data` which sectors of the current mixed extent hold data. Its first bit stands for `offset`.
    ///
    /// Only called with an offset inside the extent that `view` told last, and with `count` sectors up to its end.
    func copy(into data: inout [UInt64], from offset: UInt64, count: Int) {
        let place = BitPlace(bit: Int((offset - start) / sector))
        let words = (count + 63) / 64
        if let source = place.words(words, of: mask.words) {
            data.replaceSubrange(0..<words, with: source)
        } else {
            let source = mask.words.span
            var data = data.mutableSpan
            for index in 0..<words { data[index] = place.word(index, of: source) }
        }
    }

    /// Adds the sectors of the current mixed extent that hold data to `data`, whose first bit stands for `offset`.
    ///
    /// Only called with an offset inside the extent that `view` told last, and with `count` sectors up to its end.
    func unite(into data: inout [UInt64], from offset: UInt64, count: Int) {
        let place = BitPlace(bit: Int((offset - start) / sector))
        let source = mask.words.span
        var data = data.mutableSpan
        for index in 0..<((count + 63) / 64) { data[index] |= place.word(index, of: source) }
    }

    /// As above, where sectors may be unmapped: those go to `zeroes`. A sector that is in either already stays what it is.
    func unite(into data: inout [UInt64], zeroes: inout [UInt64], from offset: UInt64, count: Int) {
        let place = BitPlace(bit: Int((offset - start) / sector))
        let source = mask.words.span
        var data = data.mutableSpan
        var zeroes = zeroes.mutableSpan
        for index in 0..<((count + 63) / 64) {
            let decided = data[index] | zeroes[index]
            data[index] |= place.word(index, of: source) & ~decided
            if mask.hasZeroes { zeroes[index] |= place.word(index, of: mask.zeroWords.span) & ~decided }
        }
    }
}

/// A bit of a row of words, from which on the row is read in words of its own.
private struct BitPlace {
    private let first: Int
    private let shift: UInt64

    init(bit: Int) {
        first = bit / 64
        shift = UInt64(bit % 64)
    }

    /// The words from the place on, where they are words of the row.
    func words(_ count: Int, of row: [UInt64]) -> ArraySlice<UInt64>? {
        shift == 0 ? row[first..<(first + count)] : nil
    }

    /// The 64 bits that start `index` words behind the place. Where the row ends before, they are zero.
    @inline(__always)
    func word(_ index: Int, of row: Span<UInt64>) -> UInt64 {
        let low = row[first + index] >> shift
        guard shift != 0, first + index + 1 < row.count else { return low }
        return low | row[first + index + 1] << (64 - shift)
    }
}

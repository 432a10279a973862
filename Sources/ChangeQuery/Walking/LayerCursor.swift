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

    private let image: any DiskImage
    private let size: UInt64
    /// In bytes: what a word of a mask describes.
    private let wordSpan: UInt64
    private let sector: UInt64
    private var mask = SectorMask()
    private var start: UInt64 = 0
    private var end: UInt64 = 0
    private var content: SectorContent? = .absent

    init(_ image: any DiskImage) {
        self.image = image
        size = image.description.virtualSize
        sector = UInt64(image.description.logicalSectorSize)
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
                switch try image.extent(at: from, limit: to, into: &mask) {
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

    /// Adds the sectors of the current mixed extent that hold data to `bits`, whose first bit stands for `offset`.
    ///
    /// Only called with an offset inside the extent that `view` told last, and with `count` sectors up to its end.
    func unite(into bits: inout [UInt64], from offset: UInt64, count: Int) {
        let skip = Int((offset - start) / sector)
        let words = (count + 63) / 64
        let first = skip / 64
        let shift = UInt64(skip % 64)
        let source = mask.words.span
        var target = bits.mutableSpan
        for index in 0..<words {
            var word = source[first + index] >> shift
            if shift != 0, first + index + 1 < source.count { word |= source[first + index + 1] << (64 - shift) }
            target[index] |= word
        }
    }
}

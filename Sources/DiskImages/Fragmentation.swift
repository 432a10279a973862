/// Counts, block by block in the order of the disk, how many lie behind their predecessor in the file.
struct Fragmentation {
    /// What a block takes in the file, in bytes.
    private let stride: UInt64
    private var previous: UInt64?
    private var pairs: UInt64 = 0
    private var broken: UInt64 = 0

    init(stride: UInt64) {
        self.stride = stride
    }

    /// Takes the place of the next block in the file, in bytes; nil for one that is not there.
    mutating func add(_ place: UInt64?) {
        if let previous, let place {
            pairs += 1
            if place < previous || place - previous != stride { broken += 1 }
        }
        previous = place
    }

    var percentage: UInt32 {
        guard pairs > 0 else { return 0 }
        // Both are below 2^32: no disk has as many blocks.
        return UInt32(clamping: (broken * 100 + pairs - 1) / pairs)
    }
}

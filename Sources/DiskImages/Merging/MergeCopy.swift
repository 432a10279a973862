/// Writes all that one layer holds into the layer below it.
struct MergeCopy {
    /// How much is read at a time. Pieces begin and end at its multiples, so that a block of the target that is not larger
    /// is written as a whole where all of it is there.
    private static let pieceLength: UInt64 = 8 << 20

    private let map: any SectorMap
    private let source: any SectorData
    private let target: any MergeTarget
    private var buffer: [UInt8] = []
    /// Zeroes that were not yet written: what follows may make them longer, and whole blocks of them take no room.
    private var zeroes: Range<UInt64> = 0..<0

    /// - Parameters:
    ///   - map: the layer. Its masks tell data from what is absent, and nothing else.
    ///   - source: the bytes of the same layer.
    ///   - target: a disk of the same size.
    init(map: any SectorMap, source: any SectorData, target: any MergeTarget) {
        self.map = map
        self.source = source
        self.target = target
    }

    /// Whether `map` holds nothing at all.
    static func isEmpty(_ map: any SectorMap) throws(ImageError) -> Bool {
        var mask = SectorMask()
        var offset: UInt64 = 0
        while offset < map.size {
            switch try map.extent(at: offset, limit: map.size, into: &mask) {
            case .uniform(.absent, let end): offset = end
            case .mixed(let end) where mask.nextDataRun(from: 0) == nil: offset = end
            case .uniform, .mixed: return false
            }
        }
        return true
    }

    /// When this returns, the target's medium has everything.
    mutating func run() throws(ImageError) {
        buffer = [UInt8](repeating: 0, count: Int(min(Self.pieceLength, map.size)))
        var mask = SectorMask()
        var offset: UInt64 = 0
        while offset < map.size {
            switch try map.extent(at: offset, limit: map.size, into: &mask) {
            case .uniform(.absent, let end): offset = end
            case .uniform(.data, let end):
                try copy(offset..<end)
                offset = end
            case .uniform(.zero, let end), .uniform(.unmapped, let end):
                try zero(offset..<end)
                offset = end
            case .mixed(let end):
                var sector = 0
                while let run = mask.nextDataRun(from: sector) {
                    let start = offset + UInt64(run.lowerBound) * UInt64(map.sectorSize)
                    try copy(start..<start + UInt64(run.count) * UInt64(map.sectorSize))
                    sector = run.upperBound
                }
                offset = end
            }
        }
        try flushZeroes()
        try target.commit()
    }

    private mutating func copy(_ range: Range<UInt64>) throws(ImageError) {
        try flushZeroes()
        var next = range.lowerBound
        while next < range.upperBound {
            let end = min(range.upperBound, (next / Self.pieceLength + 1) * Self.pieceLength)
            let (source, target) = (source, target)
            var span = buffer.mutableSpan
            try span.withUnsafeMutableBytes { (all) throws(ImageError) in
                let piece = UnsafeMutableRawBufferPointer(rebasing: all[..<Int(end - next)])
                try source.read(at: next, into: piece)
                try target.stage(UnsafeRawBufferPointer(piece), at: next)
            }
            next = end
        }
    }

    private mutating func zero(_ range: Range<UInt64>) throws(ImageError) {
        if range.lowerBound != zeroes.upperBound { try flushZeroes() }
        zeroes = (zeroes.isEmpty ? range.lowerBound : zeroes.lowerBound)..<range.upperBound
    }

    private mutating func flushZeroes() throws(ImageError) {
        guard !zeroes.isEmpty else { return }
        try target.stageZeroes(at: zeroes.lowerBound, count: UInt64(zeroes.count))
        zeroes = 0..<0
    }
}

/// The bytes that one layer holds.
protocol SectorData: AnyObject {
    /// Fills `buffer` with the bytes of the virtual disk from `offset`: whole sectors, inside the disk, that the layer says
    /// are data.
    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(ImageError)
}

/// A writer that takes many pieces before it waits for the medium.
protocol MergeTarget: ImageWriter {
    /// Writes `bytes` to the virtual disk at `offset`; the medium has them when `commit()` returns.
    func stage(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(ImageError)

    /// Makes `count` bytes of the virtual disk at `offset` read as zeroes; they do when `commit()` returns.
    func stageZeroes(at offset: UInt64, count: UInt64) throws(ImageError)

    /// Waits until the medium has everything that was staged.
    func commit() throws(ImageError)
}

extension SectorMask {
    /// The first run of sectors with data at or above `start`; nil where there is none.
    func nextDataRun(from start: Int) -> Range<Int>? {
        guard let first = nextSector(from: start, isData: true) else { return nil }
        return first..<(nextSector(from: first, isData: false) ?? count)
    }

    private func nextSector(from start: Int, isData: Bool) -> Int? {
        guard start < count else { return nil }
        var word = start / 64
        var hidden = ~UInt64(0) << UInt64(start % 64)
        while word * 64 < count {
            let bits = (isData ? words[word] : ~words[word]) & hidden
            if bits != 0 {
                let sector = word * 64 + bits.trailingZeroBitCount
                return sector < count ? sector : nil
            }
            word += 1
            hidden = ~0
        }
        return nil
    }
}

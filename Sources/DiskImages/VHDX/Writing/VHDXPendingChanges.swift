/// A run of sectors of a block whose bits are to be set.
struct VHDXBitRun {
    /// Counted from the start of the block.
    let sectors: Range<UInt64>
    /// Where the block's bits begin in the file.
    let place: UInt64

    init(_ sectors: Range<UInt64>, at place: UInt64) {
        self.sectors = sectors
        self.place = place
    }

    /// The first `count` bytes of the block's bits, in which only those of the run are set.
    func bytes(count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        set(in: &bytes, from: 0)
        return bytes
    }

    /// Sets the bits of the run in `bytes`, of which the first holds the bits of sector `first`, a multiple of eight.
    func set(in bytes: inout [UInt8], from first: UInt64) {
        SectorBits.set(sectors, in: &bytes, from: first, .leastSignificantFirst)
    }
}

/// What makes payload visible that was written: kept until the payload is on the medium.
struct VHDXPendingChanges {
    private static let maximumEntryCount = 1_024
    private static let maximumRunCount = 65_536

    private var runs: [VHDXBitRun] = []
    /// By their places in the file.
    private var newBitmapEntries: [UInt64: VHDXBlockEntry] = [:]
    private var entries: [UInt64: VHDXBlockEntry] = [:]

    /// Whether it is time to apply what is kept.
    var isFull: Bool { entries.count >= Self.maximumEntryCount || runs.count >= Self.maximumRunCount }

    /// Sets the bits of a block that is partially present. The other bits stay as they are.
    mutating func setBits(_ run: VHDXBitRun) {
        runs.append(run)
    }

    /// The entry of a payload block.
    mutating func setEntry(_ entry: VHDXBlockEntry, at place: UInt64) {
        entries[place] = entry
    }

    /// The entry of a sector bitmap block that was just made.
    mutating func setNewBitmapEntry(_ entry: VHDXBlockEntry, at place: UInt64) {
        newBitmapEntries[place] = entry
    }

    /// What the entry at `place` of the file is going to be; nil for one that does not change.
    func entry(at place: UInt64) -> VHDXBlockEntry? {
        entries[place] ?? newBitmapEntries[place]
    }

    /// Makes everything visible, in the order that `VHDXWriter` describes, and waits for the medium.
    mutating func apply(to storage: any ImageStorage) throws(ImageError) {
        try storage.synchronize()
        if !runs.isEmpty || !newBitmapEntries.isEmpty {
            try writeBits(to: storage)
            try write(newBitmapEntries, to: storage)
            try storage.synchronize()
        }
        if !entries.isEmpty {
            try write(entries, to: storage)
            try storage.synchronize()
        }
        runs.removeAll(keepingCapacity: true)
        newBitmapEntries.removeAll(keepingCapacity: true)
        entries.removeAll(keepingCapacity: true)
    }

    /// Runs of one block that follow each other are written at once: at most 64 KiB, the bits of the largest block.
    private func writeBits(to storage: any ImageStorage) throws(ImageError) {
        var rest = runs[...]
        while let first = rest.first {
            let same = rest.prefix { $0.place == first.place }
            rest = rest.dropFirst(same.count)
            let start = (same.map(\.sectors.lowerBound).min() ?? 0) / 8
            let end = ((same.map(\.sectors.upperBound).max() ?? 0) + 7) / 8
            var bytes = try storage.bytes(at: first.place + start, count: Int(end - start))
            for run in same { run.set(in: &bytes, from: start * 8) }
            try storage.write(bytes, at: first.place + start)
        }
    }

    /// Entries that stand one behind the other in the file are written at once.
    private func write(
        _ entries: [UInt64: VHDXBlockEntry],
        to storage: any ImageStorage
    ) throws(ImageError) {
        var run: [UInt8] = []
        var start: UInt64 = 0
        for (place, entry) in entries.sorted(by: { $0.key < $1.key }) {
            if start + UInt64(run.count) != place, !run.isEmpty {
                try storage.write(run, at: start)
                run.removeAll(keepingCapacity: true)
            }
            if run.isEmpty { start = place }
            for byte in UInt64(0)..<8 { run.append(UInt8(truncatingIfNeeded: entry.word >> (byte * 8))) }
        }
        if !run.isEmpty { try storage.write(run, at: start) }
    }
}

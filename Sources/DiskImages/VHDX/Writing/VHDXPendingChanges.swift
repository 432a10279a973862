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
        var sector = sectors.lowerBound
        while sector < sectors.upperBound {
            let index = Int((sector - first) / 8)
            if sector % 8 == 0, sectors.upperBound - sector >= 8 {
                bytes[index] = 0xFF
                sector += 8
            } else {
                bytes[index] |= 1 << UInt8(sector % 8)
                sector += 1
            }
        }
    }
}

/// What makes payload visible that was written: kept until the payload is on the medium.
struct VHDXPendingChanges {
    private struct Entry {
        var place: UInt64
        var entry: VHDXBlockEntry
    }

    private var bytes: [(place: UInt64, bytes: [UInt8])] = []
    private var newBitmapEntries: [Entry] = []
    private var entries: [Entry] = []

    /// Sets the bits of a block that is partially present. The other bits stay as they are.
    mutating func setBits(_ run: VHDXBitRun, in storage: any ImageStorage) throws(ImageError) {
        let first = run.sectors.lowerBound / 8
        let place = run.place + first
        var old = try storage.bytes(at: place, count: Int((run.sectors.upperBound + 7) / 8 - first))
        run.set(in: &old, from: first * 8)
        bytes.append((place, old))
    }

    /// The entry of a payload block.
    mutating func setEntry(_ entry: VHDXBlockEntry, at place: UInt64) {
        entries.append(Entry(place: place, entry: entry))
    }

    /// The entry of a sector bitmap block that was just made.
    mutating func setNewBitmapEntry(_ entry: VHDXBlockEntry, at place: UInt64) {
        newBitmapEntries.append(Entry(place: place, entry: entry))
    }

    func newBitmapEntry(at place: UInt64) -> VHDXBlockEntry? {
        newBitmapEntries.first { $0.place == place }?.entry
    }

    /// Makes everything visible, in the order that `VHDXWriter` describes, and waits for the medium.
    mutating func apply(to storage: any ImageStorage) throws(ImageError) {
        try storage.synchronize()
        if !bytes.isEmpty || !newBitmapEntries.isEmpty {
            for change in bytes { try storage.write(change.bytes, at: change.place) }
            try write(newBitmapEntries, to: storage)
            try storage.synchronize()
        }
        if !entries.isEmpty {
            try write(entries, to: storage)
            try storage.synchronize()
        }
        bytes.removeAll(keepingCapacity: true)
        newBitmapEntries.removeAll(keepingCapacity: true)
        entries.removeAll(keepingCapacity: true)
    }

    /// Entries that stand one behind the other in the file are written at once.
    private func write(_ entries: [Entry], to storage: any ImageStorage) throws(ImageError) {
        var run: [UInt8] = []
        var start: UInt64 = 0
        for entry in entries {
            if start + UInt64(run.count) != entry.place, !run.isEmpty {
                try storage.write(run, at: start)
                run.removeAll(keepingCapacity: true)
            }
            if run.isEmpty { start = entry.place }
            for byte in UInt64(0)..<8 { run.append(UInt8(truncatingIfNeeded: entry.entry.word >> (byte * 8))) }
        }
        if !run.isEmpty { try storage.write(run, at: start) }
    }
}

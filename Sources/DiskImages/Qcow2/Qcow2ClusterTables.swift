/// The L1 table of one state of the disk, now or at a snapshot, and its L2 tables, of which one page each is in memory.
struct Qcow2ClusterTables {
    let file: ImageFile
    let rules: Qcow2EntryRules
    private var l1: WordTable<UInt64, ImageFile>
    private var l2: WordTable<UInt64, ImageFile>
    private let l1Count: UInt64
    /// The L1 entry whose L2 table `l2` is; nil for none.
    private var l2Index: UInt64?

    private static let reserved: UInt64 = 0x7F00_0000_0000_01FF

    /// - Parameters:
    ///   - l1Offset: where the L1 table lies.
    ///   - l1Count: how many entries it has.
    ///   - isComplete: whether it must cover the disk; else what it lacks is not allocated.
    /// - Throws: `corrupt` where the table cannot be there, or is too small.
    init(
        file: ImageFile,
        l1Offset: UInt64,
        l1Count: UInt64,
        rules: Qcow2EntryRules,
        isComplete: Bool = true
    ) throws(ImageError) {
        self.file = file
        self.rules = rules
        guard l1Count <= Qcow2Format.maximumL1Entries else {
            throw file.corrupt("The L1 table has \(l1Count) entries, more than any may have.", at: l1Offset)
        }
        guard l1Count == 0 || l1Offset != 0, l1Offset % rules.geometry.clusterSize == 0,
            file.holds(offset: l1Offset, length: l1Count * 8)
        else {
            throw file.corrupt("The L1 table is said to lie where none can be.", at: l1Offset)
        }
        let needed = rules.geometry.l1Count
        guard needed <= l1Count || !isComplete else {
            throw file.corrupt("The L1 table has \(l1Count) entries; the disk needs \(needed).", at: l1Offset)
        }
        self.l1Count = min(needed, l1Count)
        l1 = WordTable(file: file, .bigEndian)
        l1.place(at: l1Offset, count: self.l1Count)
        l2 = WordTable(file: file, .bigEndian)
    }

    /// Where the L2 table of the L1 entry `index` lies; 0 where there is none.
    mutating func l2Offset(_ index: UInt64) throws(ImageError) -> UInt64 {
        guard index < l1Count else { return 0 }
        let word = try l1.word(index)
        guard let offset = l2Offset(of: word) else {
            throw file.corrupt("The L1 entry \(index) is damaged.", at: l1.fileOffset(of: index))
        }
        return offset
    }

    /// As above, for an entry that is in memory and sound; else nil.
    func loadedL2Offset(_ index: UInt64) -> UInt64? {
        l1.loadedWord(index).flatMap { l2Offset(of: $0) }
    }

    private func l2Offset(of word: UInt64) -> UInt64? {
        let offset = word & Qcow2Format.offsetMask
        let clusterSize = rules.geometry.clusterSize
        guard word & Self.reserved == 0, offset % clusterSize == 0,
            offset == 0 || file.holds(offset: offset, length: clusterSize)
        else { return nil }
        return offset
    }

    /// Makes the entry of cluster `index` and its neighbours ready for `entry`.
    ///
    /// - Returns: the first cluster that is not ready.
    mutating func load(_ index: UInt64) throws(ImageError) -> UInt64 {
        let geometry = rules.geometry
        let table = index >> geometry.l2Bits
        let first = table << geometry.l2Bits
        let end = first + 1 << geometry.l2Bits
        let offset = try l2Offset(table)
        guard offset != 0, index < geometry.clusterCount else {
            l2Index = nil
            return end
        }
        if l2Index != table {
            l2Index = nil
            let count = min(end, geometry.clusterCount) - first
            l2.place(at: offset, count: count << geometry.wordsPerEntryBits)
        }
        _ = try l2.word((index - first) << geometry.wordsPerEntryBits)
        l2Index = table
        return l2.loadedEnd == (geometry.clusterCount - first) << geometry.wordsPerEntryBits
            ? end : first + l2.loadedEnd >> geometry.wordsPerEntryBits
    }

    /// The entry of a cluster that `load` has made ready.
    func entry(_ index: UInt64) -> Qcow2Entry {
        let geometry = rules.geometry
        guard let l2Index, index >> geometry.l2Bits == l2Index else { return .unallocated }
        let position = (index & (1 << geometry.l2Bits - 1)) << geometry.wordsPerEntryBits
        return Qcow2Entry(
            descriptor: l2.loadedWord(position) ?? 0,
            subclusters: geometry.hasSubclusters ? l2.loadedWord(position + 1) ?? 0 : 0
        )
    }

    /// What a cluster that `load` has made ready holds; nil where its entry is damaged.
    func cluster(_ index: UInt64) -> Qcow2Cluster? {
        let entry = entry(index)
        if entry == .unallocated { return .unallocated }
        return rules.problem(with: entry, cluster: index) == nil ? Qcow2Cluster(entry, rules: rules) : nil
    }

    /// The error for the damaged entry of a cluster that `load` has made ready; nil where it is sound.
    func damage(of index: UInt64) -> ImageError? {
        guard let problem = rules.problem(with: entry(index), cluster: index) else { return nil }
        let position = (index & (1 << rules.geometry.l2Bits - 1)) << rules.geometry.wordsPerEntryBits
        return file.corrupt("Cluster \(index) \(problem).", at: l2.fileOffset(of: position))
    }
}

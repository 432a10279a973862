/// An entry of an L2 table, as it stands in the file.
struct Qcow2Entry: Equatable {
    var descriptor: UInt64
    /// The subcluster allocation bitmap; 0 in an image without subclusters.
    var subclusters: UInt64

    static let unallocated = Qcow2Entry(descriptor: 0, subclusters: 0)

    private static let compressed: UInt64 = 1 << 62
    private static let reserved: UInt64 = 0x3F00_0000_0000_01FE

    var isCompressed: Bool { descriptor & Self.compressed != 0 }
    /// Where a standard cluster lies.
    var offset: UInt64 { descriptor & Qcow2Format.offsetMask }
    var hasReservedBits: Bool { descriptor & Self.reserved != 0 }
    var hasZeroFlag: Bool { descriptor & 1 != 0 }
    var isCopied: Bool { descriptor & Qcow2Format.copied != 0 }
}

/// What an entry says of its cluster: a bit for each 32nd part, a subcluster, least significant bit first. In an image
/// without subclusters all 32 are alike.
struct Qcow2Cluster: Equatable {
    /// The parts whose bytes are in the file.
    var data: UInt32
    /// The parts that read as zeroes, whatever is below.
    var zeroes: UInt32
    /// What tells where the bytes are, so that it is the same in two entries where they are.
    var place: UInt64

    static let unallocated = Qcow2Cluster(data: 0, zeroes: 0, place: 0)

    init(data: UInt32, zeroes: UInt32, place: UInt64) {
        self.data = data
        self.zeroes = zeroes
        self.place = place
    }

    /// What a sound entry says.
    init(_ entry: Qcow2Entry, rules: Qcow2EntryRules) {
        if entry.isCompressed {
            self.init(data: .max, zeroes: 0, place: entry.descriptor & ~Qcow2Format.copied)
        } else if rules.geometry.hasSubclusters {
            self.init(
                data: UInt32(truncatingIfNeeded: entry.subclusters),
                zeroes: UInt32(truncatingIfNeeded: entry.subclusters >> 32),
                place: entry.offset
            )
        } else if entry.hasZeroFlag {
            self.init(data: 0, zeroes: .max, place: entry.offset)
        } else {
            self.init(data: rules.hasPlace(entry) ? .max : 0, zeroes: 0, place: entry.offset)
        }
    }

    /// The parts that changed since `earlier`, and what they are now.
    ///
    /// A part is unchanged where both say the same of it and both clusters have the same place: what a snapshot refers to is
    /// never written over. A part that neither has is unchanged wherever the rest of the cluster lies. A part that was there
    /// and is gone reads as what is below, or as zeroes where `hasBackingFile` says that nothing is; so does one that nobody
    /// has written since it was added to the disk. What was `added` is changed even where both clusters are the same: the
    /// file may still hold what was there before the disk had shrunk.
    func changes(since earlier: Qcow2Cluster, added: UInt32, hasBackingFile: Bool) -> Qcow2Content {
        let isAlike = ~(data ^ earlier.data) & ~(zeroes ^ earlier.zeroes)
        let isNothing = ~(data | zeroes)
        let changed = ~(place == earlier.place ? isAlike : isAlike & isNothing) | added
        let nothing = changed & isNothing
        return Qcow2Content(
            data: changed & data | (hasBackingFile ? nothing : 0),
            zeroes: changed & zeroes | (hasBackingFile ? 0 : nothing)
        )
    }
}

/// What a map says of the 32 parts of a cluster: `data`, `unmapped`, or `absent` where a part has neither bit.
struct Qcow2Content: Equatable {
    var data: UInt32
    var zeroes: UInt32

    /// What the part `index`, below 32, is.
    func part(_ index: UInt64) -> SectorContent {
        let bit = UInt32(1) << UInt32(truncatingIfNeeded: index & 31)
        return data & bit != 0 ? .data : zeroes & bit != 0 ? .unmapped : .absent
    }

    /// How many parts from `index` on are `content`.
    func runLength(of content: SectorContent, from index: UInt64) -> UInt64 {
        let alike =
            switch content {
            case .data: data
            case .unmapped, .zero: zeroes
            case .absent: ~(data | zeroes)
            }
        let shift = UInt32(truncatingIfNeeded: index & 31)
        return UInt64(min((~(alike >> shift)).trailingZeroBitCount, 32 - Int(shift)))
    }
}

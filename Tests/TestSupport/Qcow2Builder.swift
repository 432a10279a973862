/// Makes qcow2 files from a description, field by field as the specification lays them out, without the code under test.
///
/// Clusters that `reserve` gives come first, behind the header; then the tables. Reference counts are all zero: a reader does
/// not need them. Every field can be set to something wrong.
public struct Qcow2Builder {
    public struct Entry: Hashable, Sendable {
        public var descriptor: UInt64
        public var subclusters: UInt64

        public init(_ descriptor: UInt64, subclusters: UInt64 = 0) {
            self.descriptor = descriptor
            self.subclusters = subclusters
        }
    }

    public struct Snapshot {
        public var id: String
        public var name: String
        public var seconds: UInt32 = 1_700_000_000
        /// In bytes; nil leaves it out.
        public var size: UInt64?
        public var entries: [Int: Entry]
        /// Behind the size, where there is one.
        public var extra: [UInt8] = []

        public init(id: String, name: String, size: UInt64?, entries: [Int: Entry]) {
            self.id = id
            self.name = name
            self.size = size
            self.entries = entries
        }
    }

    public struct Bitmap {
        public var name: String
        public var granularityBits: UInt8
        public var flags: UInt32 = 2
        public var type: UInt8 = 1
        public var extra: [UInt8] = []
        /// The bits that are set in clusters that have a place.
        public var bits: Set<Int> = []
        /// Entries of the table that stand as they are here.
        public var tableEntries: [Int: UInt64] = [:]
        /// How many entries the table has; nil for as many as the disk needs.
        public var tableCount: Int?

        public init(name: String, granularityBits: UInt8, bits: Set<Int> = []) {
            self.name = name
            self.granularityBits = granularityBits
            self.bits = bits
        }
    }

    /// Where the structures of a written file lie.
    public struct Layout {
        public var l1Offset: UInt64 = 0
        public var l2Offsets: [Int: UInt64] = [:]
        public var snapshotTable: UInt64 = 0
        public var snapshotTableLength = 0
        public var snapshotL1Offsets: [UInt64] = []
        public var snapshotL2Offsets: [[Int: UInt64]] = []
        public var bitmapDirectory: UInt64 = 0
        public var bitmapDirectoryLength = 0
        public var bitmapTables: [UInt64] = []
        public var end: UInt64 = 0
    }

    public var version: UInt32 = 3
    public var clusterBits: UInt32
    public var size: UInt64
    public var encryption: UInt32 = 0
    public var incompatible: UInt64 = 0
    public var compatible: UInt64 = 0
    public var autoclear: UInt64 = 0
    public var refcountOrder: UInt32 = 4
    public var headerLength: UInt32 = 112
    public var compressionType: UInt8 = 0
    public var backingName: [UInt8] = []
    public var backingFormat: String?
    public var dataFileName: String?
    /// Behind those that are known, in order.
    public var extensions: [(kind: UInt32, data: [UInt8])] = []
    public var entries: [Int: Entry] = [:]
    public var snapshots: [Snapshot] = []
    public var bitmaps: [Bitmap] = []
    /// More entries than the disk needs.
    public var extraL1Entries = 0

    private var nextCluster: UInt64 = 1

    public init(size: UInt64, clusterBits: UInt32 = 16) {
        self.size = size
        self.clusterBits = clusterBits
    }

    public var clusterSize: UInt64 { 1 << UInt64(clusterBits) }
    public var hasSubclusters: Bool { incompatible & 16 != 0 }
    private var entryLength: Int { hasSubclusters ? 16 : 8 }
    private var entriesPerTable: Int { Int(clusterSize) / entryLength }

    /// A place in the file for the data of one cluster.
    public mutating func reserve() -> UInt64 {
        defer { nextCluster += 1 }
        return nextCluster * clusterSize
    }

    /// Gives a cluster data of its own.
    public mutating func setData(_ clusters: Int...) {
        for cluster in clusters { entries[cluster] = Entry(1 << 63 | reserve()) }
    }

    @discardableResult
    public func write(to path: String) throws -> Layout {
        let file = try RawFile(path, create: true)
        var layout = Layout(end: nextCluster * clusterSize)
        for cluster in 1..<max(nextCluster, 2) { try file.write([0x5A], at: cluster * clusterSize) }
        let refcountTable = place([0], &layout.end)
        try file.write([0], at: refcountTable)

        var tables: [[UInt8]: UInt64] = [:]
        (layout.l1Offset, layout.l2Offsets) = try write(entries, size: size, to: file, &layout.end, &tables)
        var table: [UInt8] = []
        for snapshot in snapshots {
            let (l1, l2) = try write(snapshot.entries, size: snapshot.size ?? size, to: file, &layout.end, &tables)
            layout.snapshotL1Offsets.append(l1)
            layout.snapshotL2Offsets.append(l2)
            let extra = (snapshot.size.map { number(UInt64(0)) + number($0) } ?? []) + snapshot.extra
            table += number(l1) + number(UInt32(l1Count(snapshot.size ?? size)))
            table += number(UInt16(snapshot.id.utf8.count)) + number(UInt16(snapshot.name.utf8.count))
            table += number(snapshot.seconds) + number(UInt32(0)) + number(UInt64(0)) + number(UInt32(0))
            table += number(UInt32(extra.count)) + extra + Array(snapshot.id.utf8) + Array(snapshot.name.utf8)
            table += [UInt8](repeating: 0, count: (8 - table.count % 8) % 8)
        }
        if !snapshots.isEmpty {
            layout.snapshotTable = place(table, &layout.end)
            layout.snapshotTableLength = table.count
            try file.write(table, at: layout.snapshotTable)
        }
        try writeBitmaps(to: file, &layout)
        try file.write(header(layout, refcountTable: refcountTable), at: 0)
        try file.truncate(to: layout.end)
        return layout
    }

    /// Takes clusters for `bytes` from the end.
    private func place(_ bytes: [UInt8], _ end: inout UInt64) -> UInt64 {
        defer { end += max(1, (UInt64(bytes.count) + clusterSize - 1) / clusterSize) * clusterSize }
        return end
    }

    private func l1Count(_ size: UInt64) -> Int {
        let perEntry = clusterSize * UInt64(entriesPerTable)
        return Int((size + perEntry - 1) / perEntry) + extraL1Entries
    }

    /// Writes the tables of one state. L2 tables that are alike are one.
    private func write(
        _ entries: [Int: Entry],
        size: UInt64,
        to file: RawFile,
        _ end: inout UInt64,
        _ written: inout [[UInt8]: UInt64]
    ) throws -> (l1: UInt64, l2: [Int: UInt64]) {
        var offsets: [Int: UInt64] = [:]
        for (index, part) in Dictionary(grouping: entries, by: { $0.key / entriesPerTable }).sorted(by: {
            $0.key < $1.key
        }) {
            var table = [UInt8](repeating: 0, count: Int(clusterSize))
            for (cluster, entry) in part {
                let start = cluster % entriesPerTable * entryLength
                table.replaceSubrange(start..<start + 8, with: number(entry.descriptor))
                if hasSubclusters { table.replaceSubrange(start + 8..<start + 16, with: number(entry.subclusters)) }
            }
            let offset = written[table] ?? place(table, &end)
            written[table] = offset
            offsets[index] = offset
            try file.write(table, at: offset)
        }
        var table: [UInt8] = []
        for index in 0..<l1Count(size) { table += number(offsets[index].map { $0 | 1 << 63 } ?? 0) }
        let place = place(table, &end)
        try file.write(table, at: place)
        return (place, offsets)
    }

    private func writeBitmaps(to file: RawFile, _ layout: inout Layout) throws {
        guard !bitmaps.isEmpty else { return }
        var directory: [UInt8] = []
        for bitmap in bitmaps {
            let bitCount = (size - 1) >> UInt64(bitmap.granularityBits) + 1
            let count = bitmap.tableCount ?? Int((bitCount - 1) / (clusterSize * 8)) + 1
            var table = [UInt64](repeating: 0, count: count)
            let bitsPerCluster = Int(clusterSize) * 8
            for (index, bits) in Dictionary(grouping: bitmap.bits, by: { $0 / bitsPerCluster }) where index < count {
                var data = [UInt8](repeating: 0, count: Int(clusterSize))
                for bit in bits { data[bit % bitsPerCluster / 8] |= 1 << UInt8(bit % 8) }
                table[index] = place(data, &layout.end)
                try file.write(data, at: table[index])
            }
            for (index, entry) in bitmap.tableEntries { table[index] = entry }
            let bytes = table.flatMap { number($0) }
            let offset = place(bytes, &layout.end)
            layout.bitmapTables.append(offset)
            try file.write(bytes, at: offset)
            directory += number(offset) + number(UInt32(count)) + number(bitmap.flags)
            directory += [bitmap.type, bitmap.granularityBits] + number(UInt16(bitmap.name.utf8.count))
            directory += number(UInt32(bitmap.extra.count)) + bitmap.extra + Array(bitmap.name.utf8)
            directory += [UInt8](repeating: 0, count: (8 - directory.count % 8) % 8)
        }
        layout.bitmapDirectory = place(directory, &layout.end)
        layout.bitmapDirectoryLength = directory.count
        try file.write(directory, at: layout.bitmapDirectory)
    }

    private func header(_ layout: Layout, refcountTable: UInt64) -> [UInt8] {
        var all: [(kind: UInt32, data: [UInt8])] = []
        if let backingFormat { all.append((0xE279_2ACA, Array(backingFormat.utf8))) }
        if let dataFileName { all.append((0x4441_5441, Array(dataFileName.utf8))) }
        if !bitmaps.isEmpty {
            let directory = number(UInt64(layout.bitmapDirectoryLength)) + number(layout.bitmapDirectory)
            all.append((0x2385_2875, number(UInt32(bitmaps.count)) + number(UInt32(0)) + directory))
        }
        all += extensions
        var area: [UInt8] = []
        for (kind, data) in all {
            area += number(kind) + number(UInt32(data.count)) + data
            area += [UInt8](repeating: 0, count: (8 - area.count % 8) % 8)
        }
        area += number(UInt64(0))
        let length = version < 3 ? 72 : headerLength
        let backingOffset = backingName.isEmpty ? 0 : UInt64(length) + UInt64(area.count)
        var bytes = number(UInt32(0x5146_49FB)) + number(version) + number(backingOffset)
        bytes += number(UInt32(backingName.count)) + number(clusterBits) + number(size) + number(encryption)
        bytes += number(UInt32(l1Count(size))) + number(layout.l1Offset) + number(refcountTable) + number(UInt32(1))
        bytes += number(UInt32(snapshots.count)) + number(layout.snapshotTable)
        if version >= 3 {
            bytes += number(incompatible) + number(compatible) + number(autoclear) + number(refcountOrder)
            bytes += number(headerLength) + [compressionType]
            bytes += [UInt8](repeating: 0, count: max(0, Int(headerLength) - bytes.count))
            bytes = Array(bytes.prefix(Int(headerLength)))
        }
        return bytes + area + backingName
    }
}

private func number<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
    (0..<MemoryLayout<T>.size).reversed().map { UInt8(truncatingIfNeeded: value >> T($0 * 8)) }
}

internal import TestSupport

/// The structures of a qcow2 file. None of them has a checksum.
///
/// Clusters have 64 KiB, so that everything is still where a cluster can begin when the header says that they are smaller.
enum Qcow2Targets {
    private typealias Entry = Qcow2Builder.Entry

    static var all: [FuzzTarget] { [header, tables, subclusters, snapshots, bitmaps, chain] }

    private static var base: Qcow2Builder {
        var base = Qcow2Builder(size: 2 << 20)
        base.setData(0)
        base.entries[3] = Entry(1)
        return base
    }

    private static var child: Qcow2Builder {
        var child = Qcow2Builder(size: 3 << 20)
        child.backingName = Array("base.qcow2".utf8)
        child.backingFormat = "qcow2"
        let shared = child.reserve()
        child.setData(1, 8)
        child.entries[0] = Entry(shared)
        child.entries[2] = Entry(1)
        child.entries[9] = Entry(1 << 62 | child.reserve())
        child.snapshots = [
            .init(id: "1", name: "before", size: 2 << 20, entries: [0: Entry(shared), 1: Entry(child.reserve())]),
            .init(id: "2", name: "later", size: nil, entries: [0: Entry(shared), 8: Entry(1)]),
        ]
        child.bitmaps = [
            .init(name: "fine", granularityBits: 9, bits: [0, 5, 77, 4_095]),
            .init(name: "coarse", granularityBits: 16, bits: [1, 20, 47]),
        ]
        child.autoclear = 1
        return child
    }

    private static func file(_ builder: Qcow2Builder, name: String) -> (file: MemoryFile, layout: Qcow2Builder.Layout) {
        var layout: Qcow2Builder.Layout?
        let content = Templates.content { layout = try builder.write(to: $0) }
        guard let layout else { fatalError("A template was not written.") }
        return (MemoryFile(name: name, content: content), layout)
    }

    private static func target(
        _ name: String,
        _ builder: Qcow2Builder = child,
        _ places: (Qcow2Builder.Layout) -> [(offset: UInt64, length: Int)]
    ) -> FuzzTarget {
        let (file, layout) = file(builder, name: "child.qcow2")
        return FuzzTarget(
            name: name,
            files: [file, self.file(base, name: "base.qcow2").file],
            places: places(layout).map { .init(offset: Int($0.offset), length: $0.length) }
        )
    }

    private static var header: FuzzTarget {
        target("qcow2-header") { _ in [(0, 288)] }
    }

    private static var tables: FuzzTarget {
        target("qcow2-tables") { layout in
            // The cluster's and the disk's size, the L1 table's place, the features.
            [(20, 12), (36, 12), (72, 8), (layout.l1Offset, 24)] + layout.l2Offsets.values.sorted().map { ($0, 12 * 8) }
                + layout.snapshotL1Offsets.map { ($0, 16) }
                + layout.snapshotL2Offsets.flatMap { $0.values.sorted().map { ($0, 10 * 8) } }
        }
    }

    private static var subclusters: FuzzTarget {
        var builder = Qcow2Builder(size: 3 << 20)
        builder.incompatible = 16
        builder.setData(0, 1, 4)
        builder.entries[0]?.subclusters = 0xFFFF_FFFF
        builder.entries[1]?.subclusters = 0x0000_00F0_0000_000F
        builder.entries[2] = Entry(0, subclusters: 0xFFFF_FFFF << 32)
        builder.snapshots = [.init(id: "1", name: "before", size: 3 << 20, entries: builder.entries)]
        builder.setData(2)
        return target("qcow2-subclusters", builder) { layout in
            [(20, 12), (72, 8)] + layout.l2Offsets.values.sorted().map { ($0, 6 * 16) }
                + layout.snapshotL2Offsets.flatMap { $0.values.sorted().map { ($0, 6 * 16) } }
        }
    }

    private static var snapshots: FuzzTarget {
        target("qcow2-snapshots") { layout in
            [(60, 12), (layout.snapshotTable, layout.snapshotTableLength + 64)]
                + layout.snapshotL1Offsets.map { ($0, 16) }
        }
    }

    private static var bitmaps: FuzzTarget {
        target("qcow2-bitmaps") { layout in
            // The data of a bitmap lies before its table.
            [(24, 8), (88, 8), (112, 64), (layout.bitmapDirectory, layout.bitmapDirectoryLength + 48)]
                + layout.bitmapTables.map { ($0, 16) } + layout.bitmapTables.map { ($0 - (64 << 10), 32) }
        }
    }

    private static var chain: FuzzTarget {
        let (leaf, layout) = file(child, name: "child.qcow2")
        let (base, baseLayout) = file(base, name: "base.qcow2")
        let places: [FuzzTarget.Place] = [(0, layout), (1, baseLayout)].flatMap { index, layout -> [FuzzTarget.Place] in
            let places: [(UInt64, Int)] =
                [(0, 200), (layout.l1Offset, 16)] + layout.l2Offsets.values.sorted().map { ($0, 12 * 8) }
                + [(layout.snapshotTable, layout.snapshotTableLength)]
                + [(layout.bitmapDirectory, layout.bitmapDirectoryLength)] + layout.bitmapTables.map { ($0, 8) }
            return places.filter { $0.1 > 0 }.map { .init(file: index, offset: Int($0.0), length: $0.1) }
        }
        return FuzzTarget(
            name: "qcow2-chain",
            files: [leaf, base],
            places: places,
            spreading: .patches,
            test: .disk
        )
    }
}

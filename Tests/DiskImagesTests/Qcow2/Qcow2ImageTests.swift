import TestSupport
import Testing

@testable import DiskImages

/// What a qcow2 file says, entry by entry.
@Suite("qcow2")
struct Qcow2ImageTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func image(_ builder: Qcow2Builder) throws -> Qcow2Image {
        try builder.write(to: folder.file("disk.qcow2"))
        return try Qcow2Image(LocalFiles().open(folder.file("disk.qcow2")), in: LocalFiles())
    }

    /// The codes of the pieces of `size` bytes; -1 for one that is not all alike.
    private func pieces(_ map: any SectorMap, of size: UInt64) throws -> [Int] {
        let codes = try LayerWalk.codes(of: map)
        let count = Int(size / 512)
        return stride(from: 0, to: codes.count, by: count).map { start in
            let piece = codes[start..<min(start + count, codes.count)]
            return piece.allSatisfy { $0 == piece.first } ? Int(piece.first ?? 0) : -1
        }
    }

    @Test(arguments: [UInt32(9), 12, 14, 15, 16, 21]) func everyKindOfCluster(clusterBits: UInt32) throws {
        var builder = Qcow2Builder(size: 7 << UInt64(clusterBits), clusterBits: clusterBits)
        builder.setData(0, 5)
        builder.entries[1] = .init(1)
        builder.entries[2] = .init(1 | 1 << 63 | builder.reserve())
        builder.entries[3] = .init(1 << 62 | builder.reserve() + 17)
        builder.entries[4] = .init(builder.reserve())
        let image = try image(builder)
        #expect(try pieces(image, of: builder.clusterSize) == [1, 3, 3, 1, 1, 1, 0])
        #expect(image.description.blockSize == 1 << clusterBits)
        #expect(image.granularity == 1 << UInt64(clusterBits))
        #expect(image.description.diskType == .dynamic)
        #expect(image.recordedPoints.isEmpty)
    }

    @Test(arguments: [UInt32(14), 17, 21]) func subclusters(clusterBits: UInt32) throws {
        var builder = Qcow2Builder(size: 5 << UInt64(clusterBits), clusterBits: clusterBits)
        builder.incompatible = 16
        builder.entries[0] = .init(builder.reserve(), subclusters: 0b1011 | 0b0100 << 32 | 1 << 31)
        builder.entries[1] = .init(0, subclusters: 0xFFFF_FFFF << 32)
        builder.entries[2] = .init(builder.reserve(), subclusters: 0)
        builder.entries[3] = .init(1 << 62 | builder.reserve())
        let image = try image(builder)
        #expect(image.granularity == builder.clusterSize / 32)
        let first = [1, 1, 3, 1] + [Int](repeating: 0, count: 27) + [1]
        let rest = [3, 0, 1, 0].flatMap { [Int](repeating: $0, count: 32) }
        #expect(try pieces(image, of: builder.clusterSize / 32) == first + rest)
    }

    /// The disk's end is no multiple of anything but the sector.
    @Test(arguments: [UInt32(9), 12, 16]) func aDiskThatEndsInsideACluster(clusterBits: UInt32) throws {
        var builder = Qcow2Builder(size: 200 * 512 + 70 << UInt64(clusterBits), clusterBits: clusterBits)
        let last = Int((builder.size - 1) / builder.clusterSize)
        builder.setData(last, 3)
        let codes = try LayerWalk.codes(of: try image(builder))
        let sectors = Int(builder.clusterSize / 512)
        for (sector, code) in codes.enumerated() {
            #expect((code == 1) == [3, last].contains(sector / sectors), "sector \(sector)")
        }
        #expect(codes.count == Int(builder.size / 512))
    }

    @Test func version2() throws {
        var builder = Qcow2Builder(size: 4 << 16)
        builder.version = 2
        builder.setData(1)
        builder.backingName = Array("base.raw".utf8)
        builder.backingFormat = "raw"
        let image = try image(builder)
        #expect(try pieces(image, of: 1 << 16) == [0, 1, 0, 0])
        #expect(image.description.diskType == .differencing)
        #expect(image.description.parent == ParentReference(candidates: ["base.raw"], identifiers: [], format: .raw))
    }

    /// Reference counts that are to be repaired, features that a reader need not know, and extensions of others.
    @Test func whatDoesNotConcernAReader() throws {
        var builder = Qcow2Builder(size: 4 << 16)
        builder.setData(2)
        builder.incompatible = 1 | 8
        builder.compressionType = 1
        builder.compatible = 0xFF00_0001
        builder.autoclear = 0xFF00
        builder.extensions = [(0x1234_5678, Array(repeating: 7, count: 13)), (0x1234_5678, [])]
        #expect(try pieces(image(builder), of: 1 << 16) == [0, 0, 1, 0])
    }

    @Test(arguments: [
        ("base.qcow2", "qcow2", ImageDescription.Format.qcow2), ("../b/base", "vpc", .vhd), ("/a b/c:d", "vhdx", .vhdx),
        ("file:./x:y", "raw", .raw), ("./a:b", "raw", .raw), ("file:/abs", "raw", .raw),
    ])
    func backingFiles(name: String, recorded: String, format: ImageDescription.Format) throws {
        var builder = Qcow2Builder(size: 4 << 16)
        builder.backingName = Array(name.utf8)
        builder.backingFormat = recorded
        let parent = try image(builder).description.parent
        let path = name.hasPrefix("file:") ? String(name.dropFirst(5)) : name
        #expect(parent == ParentReference(candidates: [path], identifiers: [], format: format))
    }

    @Test func anExternalDataFile() throws {
        var builder = Qcow2Builder(size: 6 << 16)
        builder.incompatible = 4
        builder.dataFileName = "disk.data"
        // The first cluster of the disk lies at the start of the data file: the mark alone tells it from none.
        builder.entries[0] = .init(1 << 63)
        builder.entries[1] = .init(1 | 1 << 63 | 1 << 16)
        builder.entries[2] = .init(1)
        builder.entries[4] = .init(1 << 63 | 4 << 16)
        let data = try RawFile(folder.file("disk.data"), create: true)
        try data.truncate(to: 4 << 16 + 1)
        let image = try image(builder)
        #expect(try pieces(image, of: 1 << 16) == [1, 3, 3, 0, 1, 0])
        #expect(image.furtherFiles.map(\.path) == [folder.file("disk.data")])
        let before = image.description.revision
        try data.truncate(to: 6 << 16)
        #expect(try self.image(builder).description.revision != before)
    }

    /// All subclusters of the last cluster are marked, and the data file ends with the disk.
    @Test func aDataFileThatEndsWithTheDisk() throws {
        var builder = Qcow2Builder(size: 65_536 + 512)
        builder.incompatible = 4 | 16
        builder.dataFileName = "disk.data"
        builder.entries[1] = .init(1 << 63 | 65_536, subclusters: 0xFFFF_FFFF)
        try RawFile(folder.file("disk.data"), create: true).truncate(to: builder.size)
        let codes = try LayerWalk.codes(of: try image(builder))
        #expect(LayerWalk.ranges(of: .data, in: codes, sectorSize: 512) == [[65_536, 512]])
        try RawFile(folder.file("disk.data")).truncate(to: 65_536)
        #expect(throws: ImageError.self) { try LayerWalk.codes(of: try self.image(builder)) }
    }

    @Test func aCheckTellsOfEveryStateAndBitmap() throws {
        var builder = Qcow2Builder(size: 20 << 16)
        builder.setData(0, 1, 2)
        builder.snapshots = [.init(id: "1", name: "", size: builder.size, entries: builder.entries)]
        builder.bitmaps = ["a", "b"].map { .init(name: $0, granularityBits: 16, bits: [1]) }
        builder.autoclear = 1
        func problems() throws -> [ImageError] {
            try builder.write(to: folder.file("disk.qcow2"))
            return try DiskChain.check(folder.file("disk.qcow2"), in: LocalFiles()).problems
        }
        #expect(try problems().isEmpty)
        builder.entries[7] = .init(1 << 63 | 77)
        builder.entries[9] = .init(1 << 63 | 1 << 50)
        builder.snapshots[0].entries[11] = .init(2)
        builder.bitmaps[1].tableEntries[0] = 4
        // Nothing is concluded from a bitmap that nobody may use.
        builder.bitmaps[0].flags = 1
        builder.bitmaps[0].tableEntries[0] = 4
        let messages = try problems().map(\.message)
        let words = ["Cluster 7", "Cluster 9", "Cluster 11", "bitmap table"]
        #expect(messages.count == words.count)
        #expect(zip(messages, words).allSatisfy { $0.contains($1) }, "\(messages)")
    }

    @Test(arguments: [UInt8(9), 10, 13, 14, 15, 16, 20, 31]) func bitmaps(granularityBits: UInt8) throws {
        let granularity = UInt64(1) << UInt64(granularityBits)
        let count = min(20_000, (512 << 20) / Int(granularity))
        var builder = Qcow2Builder(size: granularity * UInt64(count) + 512, clusterBits: 9)
        var bitmap = Qcow2Builder.Bitmap(name: "b", granularityBits: granularityBits)
        bitmap.bits = Set([0, 1, 2, 5, 63, 64, 100, 127, 128, 300, 4_095, 4_099, count]).filter { $0 <= count }
        bitmap.bits.formUnion((500..<4_000).filter { $0 <= count && $0 / 64 != 40 })
        // The third cluster of the bitmap is all ones; bits of the fourth are not there.
        if count > 16_384 { bitmap.tableEntries[2] = 1 }
        builder.bitmaps = [bitmap]
        builder.autoclear = 1
        let image = try image(builder)
        let point = try #require(image.recordedPoints.first)
        #expect(point == RecordedPoint(kind: .bitmap, id: "b", name: "b", granularity: granularity))
        let map = try image.changes(since: point, upTo: nil)
        #expect(map.granularity == granularity)
        let set = count > 16_384 ? bitmap.bits.union(8_192..<12_288) : bitmap.bits
        guard granularityBits < 20 else {
            // Too large to list sector by sector: the ends of the extents are as telling.
            var mask = SectorMask()
            #expect(
                try map.extent(at: 0, limit: map.size, into: &mask)
                    == .uniform(.data, end: min(3 * granularity, map.size))
            )
            return
        }
        #expect(try pieces(map, of: granularity) == (0...count).map { set.contains($0) ? 1 : 0 })
    }

    @Test func conditionsOfBitmaps() throws {
        var builder = Qcow2Builder(size: 1 << 20)
        func bitmap(_ name: String, flags: UInt32 = 2, type: UInt8 = 1, extra: Int = 0) -> Qcow2Builder.Bitmap {
            var bitmap = Qcow2Builder.Bitmap(name: name, granularityBits: 16, bits: [1])
            bitmap.flags = flags
            bitmap.type = type
            bitmap.extra = Array(repeating: 9, count: extra)
            return bitmap
        }
        builder.bitmaps = [
            bitmap("enabled"), bitmap("disabled", flags: 0), bitmap("in use", flags: 3), bitmap("in use too", flags: 1),
            bitmap("unknown flag", flags: 2 | 1 << 3), bitmap("unknown type", type: 2), bitmap("extra", extra: 11),
            bitmap("harmless extra", flags: 6, extra: 8),
        ]
        builder.autoclear = 1
        #expect(
            try image(builder).recordedPoints.map(\.condition) == [
                .usable, .disabled, .inconsistent, .inconsistent, .inconsistent, .inconsistent, .inconsistent, .usable,
            ]
        )
        // A program that does not know bitmaps has written to the file.
        builder.autoclear = 0
        let points = try image(builder).recordedPoints
        #expect(points.map(\.id) == builder.bitmaps.map(\.name))
        #expect(points.allSatisfy { $0.condition == .inconsistent })
    }

    /// What happened to each cluster between the snapshot and now, and what is told of it, without and with a backing file.
    @Test(arguments: [false, true]) func sinceASnapshot(hasBackingFile: Bool) throws {
        var builder = Qcow2Builder(size: 12 << 16)
        let places = (0..<6).map { _ in builder.reserve() }
        let before: [Int: Qcow2Builder.Entry] = [
            0: .init(places[0]), 1: .init(places[1]), 2: .init(places[2]), 3: .init(places[3]), 4: .init(1),
            5: .init(1), 6: .init(1 << 62 | places[4]), 7: .init(1 << 62 | places[4]), 8: .init(1 | places[5]),
        ]
        builder.snapshots = [.init(id: "7", name: "then", size: builder.size, entries: before)]
        builder.entries = [
            0: .init(1 << 63 | places[0]), 1: .init(1 << 63 | builder.reserve()), 2: .init(1), 4: .init(1),
            5: .init(1 << 63 | builder.reserve()), 6: .init(1 << 62 | places[4]), 7: .init(1 << 62 | places[4] + 1),
            8: .init(1), 9: .init(1 << 63 | builder.reserve()), 10: .init(1),
        ]
        if hasBackingFile {
            builder.backingName = Array("base".utf8)
            builder.backingFormat = "raw"
        }
        let image = try image(builder)
        let point = try #require(image.recordedPoints.first)
        #expect(
            point
                == RecordedPoint(
                    kind: .snapshot,
                    id: "7",
                    name: "then",
                    created: 1_700_000_000,
                    size: builder.size,
                    granularity: 65_536
                )
        )
        #expect(try pieces(image.state(at: point), of: 1 << 16) == [1, 1, 1, 1, 3, 3, 1, 1, 3, 0, 0, 0])
        let gone = hasBackingFile ? 1 : 3
        let map = try image.changes(since: point, upTo: nil)
        #expect(try pieces(map, of: 1 << 16) == [0, 1, 3, gone, 0, 1, 0, 1, 3, 1, 3, 0])
        #expect(try pieces(image.changes(since: point, upTo: point), of: 1 << 16) == Array(repeating: 0, count: 12))
    }

    @Test func sinceASnapshotWithSubclusters() throws {
        var builder = Qcow2Builder(size: 2 << 16)
        builder.incompatible = 16
        let place = builder.reserve()
        let entries: [Int: Qcow2Builder.Entry] = [
            0: .init(place, subclusters: 0b0011 | 0b1100 << 32), 1: .init(builder.reserve(), subclusters: 0b0111),
        ]
        builder.snapshots = [.init(id: "1", name: "", size: builder.size, entries: entries)]
        builder.entries = [
            // The same place: one part is gone, one is now zeroes, one stays zeroes, one is data now.
            0: .init(1 << 63 | place, subclusters: 0b1000 | 0b0110 << 32),
            // Another place: what neither has is unchanged.
            1: .init(1 << 63 | builder.reserve(), subclusters: 0b1011 | 0b10000 << 32),
        ]
        let image = try image(builder)
        let map = try image.changes(since: image.recordedPoints[0], upTo: nil)
        let rest = [Int](repeating: 0, count: 27)
        #expect(try pieces(map, of: 2_048) == [3, 3, 0, 1, 0] + rest + [1, 1, 3, 1, 3] + rest)
    }

    /// The disk grew, and later shrank; behind the end of the disk there was the state of a virtual machine.
    @Test func snapshotsOfOtherSizes() throws {
        var builder = Qcow2Builder(size: 6 << 16)
        let shared = builder.reserve()
        let state = builder.reserve()
        let large: [Int: Qcow2Builder.Entry] = [
            0: .init(shared), 5: .init(builder.reserve()), 9: .init(builder.reserve()),
        ]
        builder.snapshots = [
            .init(id: "1", name: "small", size: 4 << 16, entries: [0: .init(shared), 5: .init(state)]),
            .init(id: "2", name: "large", size: 10 << 16, entries: large),
            .init(id: "3", name: "old", size: nil, entries: [0: .init(shared)]),
        ]
        builder.entries = [0: .init(1 << 63 | shared), 5: .init(1 << 63 | state)]
        let image = try image(builder)
        let points = image.recordedPoints
        #expect(points.map(\.size) == [4 << 16, 10 << 16, nil])
        #expect(try pieces(image.state(at: points[0]), of: 1 << 16) == [1, 0, 0, 0])
        #expect(try pieces(image.state(at: points[2]), of: 1 << 16) == [1, 0, 0, 0, 0, 0])
        // The same entry, but behind the end of the smaller disk.
        #expect(try pieces(image.changes(since: points[0], upTo: nil), of: 1 << 16) == [0, 0, 0, 0, 3, 1])
        let grown = try pieces(image.changes(since: points[0], upTo: points[1]), of: 1 << 16)
        #expect(grown == [0, 0, 0, 0, 3, 1, 3, 3, 3, 1])
        #expect(try pieces(image.changes(since: points[1], upTo: nil), of: 1 << 16) == [0, 0, 0, 0, 0, 1])
    }

    /// Both states share an L2 table of which the smaller disk had only the beginning.
    @Test(arguments: 0..<4) func aSharedTableBehindTheEndOfTheSmallerDisk(table: Int) throws {
        var builder = Qcow2Builder(size: 4 * 64 << 9, clusterBits: 9)
        let shared = builder.reserve()
        builder.entries = [table * 64 + 9: .init(shared), table * 64 + 20: .init(shared)]
        for length in [10, 15, 20, 21, 64] {
            let size = UInt64(table * 64 + length) << 9
            builder.snapshots = [.init(id: "1", name: "", size: size, entries: builder.entries)]
            let image = try image(builder)
            let codes = try LayerWalk.codes(of: image.changes(since: image.recordedPoints[0], upTo: nil))
            let expected = (0..<256).map { cluster -> UInt8 in
                if cluster < table * 64 + length { return LayerWalk.code(.absent) }
                return LayerWalk.code(builder.entries[cluster] == nil ? .unmapped : .data)
            }
            #expect(codes == expected, "\(length) clusters of table \(table)")
        }
    }

    /// What was added to the disk is changed, and is what the later state says of it, or the backing file.
    @Test(arguments: [false, true]) func whatWasAddedToTheDisk(hasBackingFile: Bool) throws {
        var builder = Qcow2Builder(size: 3 << 16)
        let shared = builder.reserve()
        // A disk that had shrunk, to the middle of a cluster, and keeps the end of the cluster when it grows again.
        builder.snapshots = [.init(id: "1", name: "", size: 3 << 15, entries: [1: .init(shared)])]
        builder.entries = [1: .init(shared)]
        if hasBackingFile {
            builder.backingName = Array("base".utf8)
            builder.backingFormat = "raw"
        }
        let nothing = hasBackingFile ? 1 : 3
        func changes() throws -> [Int] {
            let image = try image(builder)
            return try pieces(image.changes(since: image.recordedPoints[0], upTo: nil), of: 1 << 16)
        }
        #expect(try changes() == [0, 1, nothing])
        builder.entries = [:]
        builder.snapshots[0].entries = [:]
        #expect(try changes() == [0, nothing, nothing])
        builder.snapshots[0].size = 0
        #expect(try changes() == [nothing, nothing, nothing])
        builder.snapshots[0].size = 3 << 16
        #expect(try changes() == [0, 0, 0])
        builder.snapshots[0].size = 4 << 16
        #expect(try changes() == [0, 0, 0])
    }

    /// Clusters without tables are not gone over one by one: here there are 1,600 million of them.
    @Test func aDiskThatGrewWithoutBound() throws {
        var builder = Qcow2Builder(size: 100 << 40)
        builder.snapshots = [.init(id: "1", name: "", size: 1 << 20, entries: [:])]
        let image = try image(builder)
        let map = try image.changes(since: image.recordedPoints[0], upTo: nil)
        var mask = SectorMask()
        var offset: UInt64 = 1 << 20
        var count = 0
        while offset < map.size, count < 100 {
            guard case .uniform(.unmapped, let end) = try map.extent(at: offset, limit: map.size, into: &mask) else {
                break
            }
            offset = end
            count += 1
        }
        #expect(offset == map.size)
    }

    @Test func subclustersThatWereAddedToTheDisk() throws {
        var builder = Qcow2Builder(size: 1 << 16)
        builder.incompatible = 16
        let entry = Qcow2Builder.Entry(builder.reserve(), subclusters: 0b0111_1111 | 0b1000_0000 << 32)
        builder.entries = [0: entry]
        builder.snapshots = [.init(id: "1", name: "", size: 5 * 2_048 + 512, entries: [0: entry])]
        let image = try image(builder)
        let map = try image.changes(since: image.recordedPoints[0], upTo: nil)
        #expect(try pieces(map, of: 2_048) == [0, 0, 0, 0, 0, 1, 1] + [Int](repeating: 3, count: 25))
    }

    /// What two states share is not read at all: here it lies where nothing can be read.
    @Test func sharedTablesAreNotRead() throws {
        let tableSpan = UInt64(512) << 12
        var builder = Qcow2Builder(size: 40 * tableSpan, clusterBits: 12)
        let kept = builder.reserve()
        for table in 0..<40 { builder.entries[table * 512 + table] = .init(kept) }
        builder.snapshots = [.init(id: "1", name: "", size: builder.size, entries: builder.entries)]
        builder.setData(20 * 512 + 3)
        let layout = try builder.write(to: folder.file("disk.qcow2"))
        for table in 0..<40 where table != 20 {
            try RawFile(folder.file("disk.qcow2")).write(
                [UInt8](repeating: 0xFF, count: 4_096),
                at: layout.l2Offsets[table] ?? 0
            )
        }
        let image = try Qcow2Image(LocalFiles().open(folder.file("disk.qcow2")), in: LocalFiles())
        let codes = try LayerWalk.codes(of: image.changes(since: image.recordedPoints[0], upTo: nil))
        let offset = 20 * tableSpan + 3 * 4_096
        #expect(LayerWalk.ranges(of: .data, in: codes, sectorSize: 512) == [[offset, 4_096]])
        #expect(throws: ImageError.self) { try LayerWalk.codes(of: image) }
    }

    /// A disk of 2 EiB: each question goes over what one page of the L1 table says.
    @Test func aHugeDiskIsWalkedInFewSteps() throws {
        var builder = Qcow2Builder(size: 1 << 54, clusterBits: 21)
        builder.setData(1 << 30)
        let image = try image(builder)
        var mask = SectorMask()
        var offset: UInt64 = 0
        var extents: [LayerExtent] = []
        while offset < image.size, extents.count < 100 {
            let extent = try image.extent(at: offset, limit: image.size, into: &mask)
            extents.append(extent)
            guard case .uniform(_, let end) = extent else { break }
            offset = end
        }
        #expect(offset == image.size)
        let data = extents.compactMap { if case .uniform(.data, let end) = $0 { end } else { nil } }
        #expect(data == [(1 << 30 + 1) << 21])
    }

    @Test func questionsThatMakeNoSense() throws {
        var builder = Qcow2Builder(size: 4 << 16)
        builder.snapshots = ["1", "2"].map { .init(id: $0, name: "s", size: 4 << 16, entries: [:]) }
        builder.bitmaps = [.init(name: "b", granularityBits: 16)]
        builder.autoclear = 1
        let image = try image(builder)
        let points = image.recordedPoints
        func code(_ body: () throws -> any SectorMap) -> ImageError.Code? {
            do { _ = try body() } catch { return (error as? ImageError)?.code }
            return nil
        }
        var stranger = points[0]
        stranger.id = "3"
        #expect(code { try image.changes(since: points[1], upTo: points[0]) } == .invalidParameter)
        #expect(code { try image.changes(since: points[2], upTo: points[0]) } == .invalidParameter)
        #expect(code { try image.changes(since: points[0], upTo: points[2]) } == .invalidParameter)
        #expect(code { try image.changes(since: stranger, upTo: nil) } == .invalidParameter)
        #expect(code { try image.state(at: points[2]) } == .invalidParameter)
        #expect(code { try image.changes(since: points[0], upTo: points[1]) } == nil)
        var mask = SectorMask()
        for (offset, limit) in [(0, 0), (512, 1 << 16), (0, 512), (4 << 16, 5 << 16)] as [(UInt64, UInt64)] {
            #expect(throws: ImageError.self) { try image.extent(at: offset, limit: limit, into: &mask) }
        }
    }
}

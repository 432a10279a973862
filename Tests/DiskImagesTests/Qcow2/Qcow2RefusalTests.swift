import TestSupport
import Testing

@testable import DiskImages

/// Each rule of the format, broken by itself.
@Suite("Refused qcow2 images")
struct Qcow2RefusalTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private var builder: Qcow2Builder {
        var builder = Qcow2Builder(size: 8 << 16)
        builder.setData(0, 3)
        return builder
    }

    /// The error where the file is refused when it is opened, or when all of it is read.
    private func refusal(_ builder: Qcow2Builder, _ change: (RawFile, Qcow2Builder.Layout) throws -> Void = { _, _ in })
        throws -> ImageError?
    {
        let path = folder.file("disk.qcow2")
        let layout = try builder.write(to: path)
        try change(try RawFile(path), layout)
        do {
            let image = try LocalFiles().open(path).openImage(in: LocalFiles())
            #expect(image.description.format == .qcow2)
            _ = try LayerWalk.codes(of: image)
            for point in image.recordedPoints { _ = try LayerWalk.codes(of: image.changes(since: point, upTo: nil)) }
        } catch {
            return try #require(error as? ImageError)
        }
        return nil
    }

    private func expect(
        _ code: ImageError.Code,
        _ word: String = "",
        at location: SourceLocation = #_sourceLocation,
        _ change: (inout Qcow2Builder) -> Void
    ) throws {
        var builder = builder
        change(&builder)
        let error = try refusal(builder)
        #expect(error?.code == code, "\(String(describing: error))", sourceLocation: location)
        #expect(error?.message.contains(word) ?? false, "\(String(describing: error))", sourceLocation: location)
    }

    @Test func theBuilderMakesAnImage() throws { #expect(try refusal(builder) == nil) }

    @Test func headers() throws {
        try expect(.unsupported, "version 4") { $0.version = 4 }
        try expect(.unsupported, "encrypted") { $0.encryption = 1 }
        try expect(.unsupported, "encrypted") { $0.encryption = 2 }
        try expect(.corrupt, "reference counts") { $0.refcountOrder = 7 }
        try expect(.corrupt, "long, which cannot be") { $0.headerLength = 100 }
        try expect(.corrupt, "108 bytes") { $0.headerLength = 108 }
        try expect(.unsupported, "whole sectors") { $0.size += 1 }
        try expect(.corrupt, "marked as corrupt") { $0.incompatible = 2 }
        try expect(.corrupt, "subclusters") { ($0.clusterBits, $0.incompatible) = (13, 16) }
        try expect(.corrupt, "compression") { $0.incompatible = 8 }
        try expect(.corrupt, "compression") { $0.compressionType = 1 }
        try expect(.unsupported, "compression type 2") { ($0.incompatible, $0.compressionType) = (8, 2) }
        try expect(.corrupt, "data file") { $0.autoclear = 2 }
        try expect(.corrupt, "bitmaps") { $0.autoclear = 1 }
    }

    @Test func unknownFeaturesAreNamed() throws {
        try expect(.unsupported, "number 5") { $0.incompatible = 1 << 5 }
        try expect(.unsupported, "\"time travel\", number 63") {
            $0.incompatible = 1 << 40 | 1 << 63
            let name = Array("time travel".utf8)
            let padding = [UInt8](repeating: 0, count: 46 - name.count)
            $0.extensions = [(0x6803_F857, [1, 40] + name.reversed() + padding + [0, 40] + name + padding)]
        }
        // The rest of such a header may mean something else.
        try expect(.unsupported, "number 6") {
            $0.incompatible = 1 << 6
            $0.refcountOrder = 99
            $0.encryption = 3
        }
    }

    private func expectCorrupt(
        _ bytes: [UInt8],
        at offset: UInt64,
        _ code: ImageError.Code = .corrupt,
        location: SourceLocation = #_sourceLocation
    ) throws {
        let error = try refusal(builder) { file, _ in try file.write(bytes, at: offset) }
        #expect(error?.code == code, "\(String(describing: error))", sourceLocation: location)
    }

    @Test func numbersOfTheHeader() throws {
        try expectCorrupt([0x50], at: 0)
        try expectCorrupt([0, 0, 0, 8], at: 20)
        try expectCorrupt([0, 0, 0, 22], at: 20, .unsupported)
        try expectCorrupt([0xFF, 0xFF, 0xFF, 0xFF], at: 20, .unsupported)
        // Sizes: more than the L1 table covers, and more than any can.
        try expectCorrupt([0, 0, 0, 1, 0, 0, 0, 0], at: 24)
        try expectCorrupt([0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE, 0], at: 24)
        try expectCorrupt([0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE, 0], at: 24)
        // The L1 table: none, too long for the file, too long for any, not aligned, beyond the file.
        try expectCorrupt([0, 0, 0, 0], at: 36)
        try expectCorrupt([0, 0x40, 0, 0], at: 36)
        try expectCorrupt([0xFF, 0xFF, 0xFF, 0xFF], at: 36)
        try expectCorrupt([0, 0, 0, 0, 0, 0, 0, 0], at: 40)
        try expectCorrupt([0, 0, 0, 0, 0, 1, 0, 8], at: 40)
        try expectCorrupt([0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0], at: 40)
        try expectCorrupt([0, 0, 0, 0, 0, 0, 2, 0], at: 48)
        try expectCorrupt([0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], at: 60)
        try expectCorrupt([0, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0], at: 60)
        try expectCorrupt([0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], at: 60)
        // The backing file's name: over the header, beyond the cluster, too long, empty.
        try expectCorrupt([0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 4], at: 8)
        try expectCorrupt([0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 4], at: 8)
        try expectCorrupt([0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0, 0, 4], at: 8)
        try expectCorrupt([0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 4, 0], at: 8)
        try expectCorrupt([0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0], at: 8)
        try expectCorrupt([0, 1, 0, 8], at: 100)
    }

    @Test func extensions() throws {
        try expect(.corrupt, "twice") { $0.extensions = [(0xE279_2ACA, [1]), (0xE279_2ACA, [1])] }
        try expect(.corrupt, "too long") { $0.extensions = [(0x4441_5441, Array(repeating: 65, count: 9_999))] }
        try expect(.corrupt, "not inside") { $0.extensions = [(0x2385_2875, Array(repeating: 0, count: 23))] }
        var builder = builder
        builder.extensions = [(0x77, [])]
        let error = try refusal(builder) { file, _ in try file.write([0, 1, 0, 0], at: 116) }
        #expect(error?.code == .corrupt)
    }

    @Test func namesOfOtherFiles() throws {
        for name in ["nbd://host/x", "json:{\"driver\":\"qcow2\"}", "http:x", "fat:rw:dir", "a:b"] {
            try expect(.unsupported, "plain path") { ($0.backingName, $0.backingFormat) = (Array(name.utf8), "raw") }
        }
        try expect(.unsupported, "rebase -u") { $0.backingName = Array("base".utf8) }
        try expect(.unsupported, "\"vmdk\"") { ($0.backingName, $0.backingFormat) = (Array("base".utf8), "vmdk") }
        try expect(.corrupt, "not text") { ($0.backingName, $0.backingFormat) = ([65, 0, 66], "raw") }
        try expect(.corrupt, "not text") { ($0.backingName, $0.backingFormat) = ([0xFF, 0xFE], "raw") }
        try expect(.corrupt, "empty") { ($0.backingName, $0.backingFormat) = (Array("file:".utf8), "raw") }
        try expect(.unsupported, "in another file") { $0.incompatible = 4 }
        try expect(.parentNotFound, "\"gone\"") { ($0.incompatible, $0.dataFileName) = (4, "gone") }
        try expect(.unsupported, "plain path") { ($0.incompatible, $0.dataFileName) = (4, "nbd:x") }
    }

    @Test func entriesOfTables() throws {
        for bit in Array(0..<UInt64(9)) + [10, 50] + Array(56..<63) {
            let error = try refusal(builder) { file, layout in
                let word = try file.number(UInt64.self, at: layout.l1Offset).byteSwapped ^ 1 << bit
                try file.write(number: word.byteSwapped, at: layout.l1Offset)
            }
            #expect(error?.code == .corrupt, "bit \(bit) of an L1 entry")
        }
        for bit in Array(1..<UInt64(9)) + [10, 50] + Array(56..<62) {
            try expect(.corrupt, "Cluster 3") { $0.entries[3]?.descriptor ^= 1 << bit }
        }
        // The first cluster behind the file, and one far behind, with data and without.
        for offset: UInt64 in [6 << 16, 1 << 40, 0xFF_FFFF_FFFF_0000] {
            for flags: UInt64 in [0, 1, 1 << 63, 1 << 63 | 1] {
                try expect(.corrupt, "beyond") { $0.entries[1] = .init(flags | offset) }
            }
        }
        try expect(.corrupt, "where no cluster begins") { $0.entries[1] = .init(1 | 1 << 16 + 512) }
        try expect(.corrupt, "beyond") { $0.entries[1] = .init(1 << 62 | 1 << 40) }
        // All of it may be a cluster long, and more than that behind the end of the file.
        try expect(.corrupt, "beyond") { $0.entries[1] = .init(1 << 62 | 0xFF << 54 | 5 << 16) }
        try expect(.corrupt, "mark that only other") { $0.entries[1] = .init(3 << 62 | 1 << 16) }
        try expect(.corrupt, "mark of a cluster of zeroes") { ($0.version, $0.entries[1]) = (2, .init(1)) }
    }

    @Test func subclusters() throws {
        func expect(_ word: String, _ entry: Qcow2Builder.Entry, at location: SourceLocation = #_sourceLocation) throws
        {
            try self.expect(.corrupt, word, at: location) { ($0.incompatible, $0.entries[1]) = (16, entry) }
        }
        try expect("at once", .init(1 << 16, subclusters: 1 | 1 << 32))
        try expect("no place", .init(0, subclusters: 1))
        try expect("zeroes, which", .init(1, subclusters: 0))
        try expect("compressed and has", .init(1 << 62 | 1 << 16, subclusters: 1 << 32))
        for subclusters: UInt64 in [0, 1 << 32, 0xFFFF_FFFF << 32] {
            try expect("beyond", .init(1 << 40, subclusters: subclusters))
            try expect("where no cluster begins", .init(1 << 16 + 512, subclusters: subclusters))
        }
    }

    @Test func externalData() throws {
        try RawFile(folder.file("data"), create: true).truncate(to: 8 << 16)
        func expect(_ word: String, _ entry: Qcow2Builder.Entry, at location: SourceLocation = #_sourceLocation) throws
        {
            try self.expect(.corrupt, word, at: location) {
                ($0.incompatible, $0.dataFileName, $0.entries) = (4, "data", [1: entry])
            }
        }
        try expect("compressed", .init(1 << 62 | 1 << 16))
        try expect("not its own", .init(1 << 63 | 2 << 16))
        try expect("not its own", .init(1 << 63))
        try RawFile(folder.file("data")).truncate(to: 1 << 16)
        try expect("beyond", .init(1 << 63 | 1 << 16))
        try self.expect(.unsupported, "snapshots") {
            ($0.incompatible, $0.dataFileName) = (4, "data")
            $0.snapshots = [.init(id: "1", name: "", size: $0.size, entries: [:])]
        }
    }

    private func withSnapshots(_ count: Int) -> Qcow2Builder {
        var builder = builder
        builder.snapshots = (0..<count).map { _ in
            .init(id: "1", name: "s", size: builder.size, entries: builder.entries)
        }
        return builder
    }

    @Test func snapshots() throws {
        #expect(try refusal(withSnapshots(1)) == nil)
        // Two that cannot be told apart.
        #expect(try refusal(withSnapshots(2))?.code == .corrupt)
        // Where the L1 table lies, how long it is, how long the extra data is, how large the disk was.
        let changes: [(offset: UInt64, bytes: [UInt8])] = [
            (0, [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0]), (6, [2]), (0, [0, 0, 0, 0, 0, 0, 0, 0]),
            (8, [0, 0, 0, 0]), (8, [0xFF, 0xFF, 0xFF, 0xFF]), (36, [0, 0, 4, 1]), (36, [0xFF, 0xFF, 0xFF, 0xFF]),
            (48, [0xFF]), (55, [1]), (12, [0xFF, 0xFF, 0xFF, 0xFF]),
        ]
        for (offset, bytes) in changes {
            let error = try refusal(withSnapshots(1)) { file, layout in
                try file.write(bytes, at: layout.snapshotTable + offset)
                // So that a longer entry goes beyond the end of the file.
                try file.truncate(to: layout.snapshotTable + 100)
            }
            #expect(error?.code == .corrupt, "\(bytes) at \(offset)")
        }
    }

    /// As many as there may be, and names as long as there may be: no more memory than that of one table.
    @Test func tooLongATableOfSnapshots() throws {
        var builder = builder
        let name = String(repeating: "x", count: 65_535)
        builder.snapshots = (0..<300).map { .init(id: "\($0)", name: name, size: builder.size, entries: [:]) }
        let path = folder.file("disk.qcow2")
        try builder.write(to: path)
        do throws(ImageError) {
            _ = try Qcow2Image(LocalFiles().open(path), in: LocalFiles())
            Issue.record("a table of 19 MiB is read")
        } catch {
            #expect(error.code == .resourceLimit)
        }
    }

    @Test func bitmaps() throws {
        var builder = builder
        builder.autoclear = 1
        builder.bitmaps = [.init(name: "b", granularityBits: 16, bits: [2])]
        #expect(try refusal(builder) == nil)
        func changed(_ change: (inout Qcow2Builder.Bitmap) -> Void) throws -> ImageError.Code? {
            var builder = builder
            change(&builder.bitmaps[0])
            return try refusal(builder)?.code
        }
        #expect(try changed { $0.name = "" } == .corrupt)
        #expect(try changed { $0.granularityBits = 64 - 1 } == .unsupported)
        #expect(try changed { $0.granularityBits = 8 } == .unsupported)
        #expect(try changed { $0.tableCount = 0 } == .corrupt)
        for bit in Array(1..<UInt64(9)) + [10, 60] {
            #expect(try changed { $0.tableEntries[0] = 5 << 16 ^ 1 << bit } == .corrupt, "bit \(bit)")
        }
        #expect(try changed { $0.tableEntries[0] = 5 << 16 | 1 } == .corrupt)
        #expect(try changed { $0.tableEntries[0] = 5 << 40 } == .corrupt)
        var twice = builder
        twice.bitmaps.append(twice.bitmaps[0])
        #expect(try refusal(twice)?.code == .corrupt)

        let changes: [(offset: UInt64, bytes: [UInt8])] = [
            (0, [0xFF]), (7, [1]), (0, [0, 0, 0, 0, 0, 0, 0, 0]), (8, [0xFF, 0xFF, 0xFF, 0xFF]), (17, [64]),
            (17, [255]),
            (18, [0xFF, 0xFF]), (18, [0, 0]), (20, [0xFF, 0xFF, 0xFF, 0xFF]), (20, [0, 0, 0, 8]),
        ]
        for (offset, bytes) in changes {
            let error = try refusal(builder) { file, layout in
                try file.write(bytes, at: layout.bitmapDirectory + offset)
            }
            #expect(error?.code == .corrupt, "\(bytes) at \(offset)")
        }
        // The extension: how many, how long, where. Without the file's word for it, there are no bitmaps then.
        for (offset, bytes) in [
            (0, [0, 0, 0, 0]), (0, [0, 0, 0, 2]), (1, [1]), (15, [33]), (8, [0xFF]), (16, [0xFF]), (23, [8]),
        ]
            as [(UInt64, [UInt8])]
        {
            let place = UInt64(builder.headerLength) + 8 + offset
            let error = try refusal(builder) { file, _ in try file.write(bytes, at: place) }
            #expect(error?.code == .corrupt, "\(bytes) at \(offset) of the extension")
            var unsure = builder
            unsure.autoclear = 0
            #expect(try refusal(unsure) { file, _ in try file.write(bytes, at: place) } == nil)
        }
    }
}

import Foundation
import TestSupport
import Testing

@testable import DiskImages

/// Files that somebody made to be expensive: each is small or nearly empty, and names as much as the format lets it.
@Suite("Costly files", .serialized)
struct CostlyFileTests {
    let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
    }

    /// - Parameter limit: in bytes.
    private func expectBounded(
        _ limit: UInt64 = 64 << 20,
        _ body: () throws -> Void,
        location: SourceLocation = #_sourceLocation
    ) rethrows {
        guard let growth = try PeakMemory.growth(body) else {
            print("skipped: this system does not tell how much memory a process takes at most")
            return
        }
        #expect(growth <= limit, "\(growth >> 20) MiB", sourceLocation: location)
    }

    /// A catalogue in which the same properties come again and again: a reader that goes through all that it has for each
    /// of them would not end.
    @Test(.timeLimit(.minutes(1))) func aCatalogueThatRepeatsItself() throws {
        let paths = (0..<40_000).map { #""\#($0).avhdx""# }.joined(separator: ",")
        let empty = [String](repeating: #"{"AllPaths":null}"#, count: 15_000).joined(separator: ",")
        let text = #"[{"AllPaths":[\#(paths)]},\#(empty)]"#
        let catalogue = try VHDSetCatalogue(decoding: Array(text.utf8), name: "set.vhdset.json")
        #expect(catalogue.allPaths.count == 40_000)
    }

    @Test(.timeLimit(.minutes(1))) func aCatalogueThatListsOneSnapshotOften() throws {
        let ids = (0..<4_000).map { #""\#(SetFolder.id($0))""# }
        let lists = (0..<24).map { _ in #"{"SnapshotIdList":[\#(ids.joined(separator: ","))]}"# }
        let catalogue = try VHDSetCatalogue(decoding: Array("[\(lists.joined(separator: ","))]".utf8), name: "set")
        #expect(catalogue.snapshots.count == 4_000)
    }

    /// Half of the snapshots are lost, and every one of the other half names their file among its parents.
    @Test(.timeLimit(.minutes(1))) func snapshotsThatAllStandOnEachOther() throws {
        func path(_ name: String) throws -> CataloguePath { try #require(CataloguePath(name)) }
        let lost = try path("C:\\sets\\Gone.avhdx")
        let layer = try path("b.avhdx")
        let others = try (0..<20).map { try path("other \($0).avhdx") }
        let catalogue = VHDSetCatalogue(
            snapshots: (0..<2_000).map { VHDSetSnapshot(id: SetFolder.id($0), snapshotPath: lost, parentPaths: others) }
                + (2_000..<4_000).map {
                    VHDSetSnapshot(id: SetFolder.id($0), snapshotPath: layer, parentPaths: others + [lost, layer])
                }
        )
        let layers = ["leaf", "b", "a"].map { VHDSetLayer(name: $0, identifier: nil, modificationTime: 0) }
        let places = VHDSetPlaces(catalogue: catalogue, layers: layers, isFrozen: false)
        let snapshots = places.snapshots([lost: .missing, layer: .layer(1)])
        #expect(snapshots.filter { $0.place == .layer(1) }.count == 2_000)
        #expect(snapshots.filter { $0.place == .nowhere }.count == 2_000)
    }

    @Test func aCatalogueAsLongAsOneMayBe() throws {
        let path = folder.file("set.vhdset.json")
        // No name is UTF-8 of one byte a character, and each is a path of its own.
        let names = (0..<49_000).map { #""\#($0)\#(String(repeating: "é", count: 36))""# }
        let text = #"{"AllPaths":[\#(names.joined(separator: ","))]}"#
        #expect(text.utf8.count <= Int(VHDSetCatalogue.maximumLength))
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        try expectBounded {
            let catalogue = try VHDSetCatalogue(LocalFiles().open(path))
            #expect(catalogue.allPaths.count == 49_000)
        }
    }

    /// A snapshot table and a bitmap directory with names that are no text: in memory each of their bytes takes three. Where
    /// they are longer than this program reads, they are refused before anything is made of them.
    @Test(arguments: [500, 34_000]) func directoriesOfNamesThatAreNoText(count: Int) throws {
        let path = folder.file("disk.qcow2")
        let name = String(repeating: "n", count: 400)
        var builder = Qcow2Builder(size: 1 << 20)
        builder.snapshots = [.init(id: "1", name: name, size: 1 << 20, entries: [:])]
        builder.bitmaps = [.init(name: name, granularityBits: 16)]
        builder.autoclear = 1
        let layout = try builder.write(to: path)
        let file = try RawFile(path)
        /// Puts an entry `count` times behind all else, and returns where.
        func multiply(_ start: UInt64, _ length: Int) throws -> UInt64 {
            var entry = try file.read(at: start, count: length)
            for index in entry.indices where entry[index] == UInt8(ascii: "n") { entry[index] = 0xFF }
            let place = file.size
            for index in 0..<count { try file.write(entry, at: place + UInt64(index * length)) }
            try file.truncate(to: (file.size + 0xFFFF) & ~0xFFFF)
            return place
        }
        let snapshots = try multiply(layout.snapshotTable, layout.snapshotTableLength)
        try file.write(number: UInt32(count).byteSwapped, at: 60)
        try file.write(number: snapshots.byteSwapped, at: 64)
        let bitmaps = try multiply(layout.bitmapDirectory, layout.bitmapDirectoryLength)
        // The bitmaps extension is the first.
        try file.write(number: UInt32(count).byteSwapped, at: 120)
        try file.write(number: UInt64(count * layout.bitmapDirectoryLength).byteSwapped, at: 128)
        try file.write(number: bitmaps.byteSwapped, at: 136)
        try expectBounded {
            do {
                let image = try Qcow2Image(LocalFiles().open(path), in: LocalFiles())
                #expect(image.recordedPoints.count == 2 * count)
            } catch let error as ImageError {
                #expect(error.code == .resourceLimit && count > Qcow2Format.maximumDirectoryEntries, "\(error)")
            }
        }
    }

    /// The longest file that a check looks at is mostly a hole, and needs a bit for each mebibyte.
    @Test func theLongestFileThatIsChecked() throws {
        let path = folder.file("disk.vhdx")
        var builder = VHDXBuilder(virtualSize: 4 << 20, blockSize: 1 << 20)
        builder.blocks = [0: .init(state: 6)]
        try builder.write(to: path)
        var size = VHDXFormat.maximumFileSize
        // File systems have limits of their own.
        while (try? RawFile(path).truncate(to: size)) == nil { size /= 2 }
        try expectBounded {
            let report = try DiskChain.check(path, in: LocalFiles())
            #expect(report.problems.isEmpty)
            #expect(report.leakedBytes > size / 2)
        }
    }

    /// A check keeps the places of all blocks that a file of this length can have: 31 MiB, and no copy of them for a block.
    @Test(.timeLimit(.minutes(1))) func theLongestVHDThatIsChecked() throws {
        let path = folder.file("disk.vhd")
        var builder = VHDBuilder(virtualSize: 512 << 20, blockSize: 64 << 10)
        for block in 0..<builder.blockCount { builder.blocks[block] = .init(sectors: []) }
        try builder.write(to: path)
        // The end of the file is a hole, so that the copy of the footer counts.
        try RawFile(path).truncate(to: 500 << 30)
        try expectBounded(48 << 20) {
            let report = try DiskChain.check(path, in: LocalFiles())
            #expect(report.problems.count == 1)
            #expect(report.leakedBytes > 490 << 30)
        }
    }
}

import Foundation
import TestSupport
import Testing

@testable import DiskImages

/// Where a chain has a snapshot whose own file is gone, and what proves it.
@Suite("Snapshots of a VHD Set")
struct VHDSetPlacesTests {
    private let set: SetFolder
    private static let taken = 1_700_000_000
    private static let created = "2023-11-14T22:13:20Z"

    init() throws {
        set = try SetFolder()
        try set.chain("leaf.avhdx", "c.avhdx", "b.avhdx", "a.avhdx")
        for name in ["leaf.avhdx", "c.avhdx", "b.avhdx"] { try set.touch(name, at: Self.taken + 60) }
        try set.touch("a.avhdx", at: Self.taken)
    }

    private var gone: SetFolder.Entry {
        SetFolder.Entry(id: 1, path: nil, parents: ["a.avhdx"], created: Self.created)
    }

    private func places(vouched: Bool = false, _ entries: SetFolder.Entry...) throws -> [String] {
        switch entries.count {
        case 1: try set.write(leaf: "leaf.avhdx", vouched: vouched, entries[0])
        case 2: try set.write(leaf: "leaf.avhdx", vouched: vouched, entries[0], entries[1])
        default: try set.write(leaf: "leaf.avhdx", vouched: vouched, entries[0], entries[1], entries[2])
        }
        return try set.places()
    }

    /// A disk that was taken back to an older snapshot stands on the same parents, and its answer would lack what it lost.
    @Test func parentsAloneProveNothing() throws {
        #expect(try places(gone) == ["1 nowhere"])
        #expect(try places(vouched: true, gone) == ["1 above 3"])
    }

    /// The file of the snapshot must be gone; one that cannot be opened may still be there.
    @Test func aFileThatCannotBeLookedAtIsNotGone() throws {
        var entry = gone
        entry.path = "snapshot.avhdx"
        #expect(try places(vouched: true, entry) == ["1 above 3"])
        #expect(mkfifo(set.folder.file("snapshot.avhdx"), 0o600) == 0)
        #expect(try places(vouched: true, entry) == ["1 nowhere"])
    }

    @Test func aParentThatWasWrittenToSinceProvesNothing() throws {
        try set.touch("a.avhdx", at: Self.taken + 1)
        #expect(try places(vouched: true, gone) == ["1 nowhere"])
        // Without a zone the time may have been earlier by so much.
        try set.touch("a.avhdx", at: Self.taken)
        var entry = gone
        entry.created = "2023-11-14T22:13:20"
        #expect(try places(vouched: true, entry) == ["1 nowhere"])
        entry.created = "2023-11-15T12:13:20"
        #expect(try places(vouched: true, entry) == ["1 above 3"])
        entry.created = nil
        #expect(try places(vouched: true, entry) == ["1 nowhere"])
        // A recorded identity says more than any time.
        entry.parentIdentifiers = [SetFolder.identifier("a.avhdx")]
        #expect(try places(vouched: true, entry) == ["1 above 3"])
        entry.parentIdentifiers = [GUID(high: 1, low: 1)]
        entry.created = Self.created
        #expect(try places(vouched: true, entry) == ["1 nowhere"])
    }

    @Test func ofSeveralParentsTheNearestThatIsUnchangedCounts() throws {
        try set.touch("b.avhdx", at: Self.taken)
        var entry = gone
        entry.parents = ["none.avhdx", "b.avhdx", "a.avhdx"]
        #expect(try places(vouched: true, entry) == ["1 above 2"])
        try set.touch("b.avhdx", at: Self.taken + 1)
        #expect(try places(vouched: true, entry) == ["1 above 3"])
    }

    /// Its file went into a neighbour; a later snapshot remembers that it stood on it.
    @Test func aLaterSnapshotProvesWhereTheDiskComesFrom() throws {
        var lost = gone
        lost.path = "lost.avhdx"
        let later = SetFolder.Entry(id: 2, path: "c.avhdx", parents: ["b.avhdx", "lost.avhdx", "a.avhdx"])
        #expect(try places(lost, later) == ["2 layer 1", "1 above 3"])
        // One that stood directly on it proves more: what was written since begins with its own file.
        let direct = SetFolder.Entry(id: 3, path: "c.avhdx", parents: ["lost.avhdx", "a.avhdx"])
        #expect(try places(lost, direct) == ["3 layer 1", "1 above 2"])
        // A later snapshot of another branch proves nothing.
        try set.image("other.avhdx", on: "a.avhdx")
        let other = SetFolder.Entry(id: 4, path: "other.avhdx", parents: ["lost.avhdx", "a.avhdx"])
        #expect(try places(lost, other) == ["1 nowhere", "4 nowhere"])
        // Without its path nothing tells that it is the one.
        #expect(try places(gone, direct) == ["3 layer 1", "1 nowhere"])
    }

    @Test func recordedIdentitiesDecideOverPaths() throws {
        var lost = gone
        lost.path = "lost.avhdx"
        lost.identifier = GUID(high: 7, low: 7)
        var later = SetFolder.Entry(id: 2, path: "c.avhdx", parents: ["lost.avhdx", "a.avhdx"])
        later.identifier = SetFolder.identifier("c.avhdx")
        later.parentIdentifiers = [GUID(high: 7, low: 7), SetFolder.identifier("a.avhdx")]
        #expect(try places(lost, later) == ["2 layer 1", "1 above 2"])
        // Another file of the same name.
        later.parentIdentifiers[0] = GUID(high: 8, low: 8)
        #expect(try places(lost, later) == ["2 layer 1", "1 nowhere"])
    }

    @Test func aFileThatWasWrittenToIsNoLongerTheSnapshots() throws {
        var entry = SetFolder.Entry(id: 1, path: "b.avhdx", parents: ["a.avhdx"], created: Self.created)
        #expect(try places(entry) == ["1 layer 2"])
        entry.identifier = SetFolder.identifier("b.avhdx")
        #expect(try places(entry) == ["1 layer 2"])
        entry.identifier = GUID(high: 1, low: 1)
        #expect(try places(entry) == ["1 nowhere"])
        #expect(try places(vouched: true, entry) == ["1 above 3"])
        // The live file is written to all the time.
        entry = SetFolder.Entry(id: 1, path: "leaf.avhdx", parents: ["c.avhdx"])
        #expect(try places(entry) == ["1 nowhere"])
    }

    @Test func aFileOfAnotherBranchIsNowhere() throws {
        try set.image("other.avhdx", on: "a.avhdx")
        let entry = SetFolder.Entry(id: 1, path: "other.avhdx", parents: ["a.avhdx"], created: Self.created)
        #expect(try places(entry) == ["1 nowhere"])
        #expect(try places(vouched: true, entry) == ["1 nowhere"])
        let snapshot = try #require(try set.open().snapshots.first)
        #expect(snapshot.path == "other.avhdx" && snapshot.created == Self.created)
        #expect(!snapshot.explanation.isEmpty)
    }

    @Test func aFileIsKnownByItselfAndNotByItsName() throws {
        #expect(link(set.folder.file("b.avhdx"), set.folder.file("second name.avhdx")) == 0)
        #expect(try places(SetFolder.Entry(id: 1, path: "second name.avhdx")) == ["1 layer 2"])
    }

    @Test func theNewestComesFirst() throws {
        let old = SetFolder.Entry(id: 1, path: "a.avhdx", created: "2030-01-01T00:00:00Z")
        let new = SetFolder.Entry(id: 2, path: "c.avhdx", created: "2020-01-01T00:00:00Z")
        let lost = SetFolder.Entry(id: 3, path: "lost.avhdx", parents: ["b.avhdx"])
        #expect(try places(old, lost, new) == ["2 layer 1", "1 layer 3", "3 nowhere"])
    }

    /// Two snapshots of the same id are both kept; whoever asks for the id is told that it is ambiguous.
    @Test func theSameIdTwiceIsKept() throws {
        let one = SetFolder.Entry(id: 1, path: "a.avhdx")
        let two = SetFolder.Entry(id: 1, path: "c.avhdx")
        #expect(try places(one, two) == ["1 layer 1", "1 layer 3"])
        #expect(try places(one, one) == ["1 layer 3"])
    }

    /// Work that grew with the square of a hostile document would be a hang.
    @Test func manySnapshotsCostNoMoreThanTheirNumber() {
        let layers = (0..<3).map { VHDSetLayer(name: "\($0)", identifier: nil, modificationTime: 0) }
        let top = CataloguePath("top.avhdx")
        let parents = (0..<40).compactMap { CataloguePath("parent\($0).avhdx") }
        var snapshots = (0..<2_000).map {
            VHDSetSnapshot(id: SetFolder.id($0), snapshotPath: top, parentPaths: parents)
        }
        snapshots += (0..<2_000).map { VHDSetSnapshot(id: SetFolder.id($0), snapshotPath: CataloguePath("gone\($0)")) }
        var files: [CataloguePath: VHDSetFiles.Place] = [:]
        if let top { files[top] = .layer(1) }
        let places = VHDSetPlaces(catalogue: VHDSetCatalogue(snapshots: snapshots), layers: layers, isFrozen: false)
        let placed = places.snapshots(files)
        #expect(placed.count { $0.place == .layer(1) } == 2_000)
        #expect(placed.count { $0.place == .nowhere } == 2_000)
    }
}

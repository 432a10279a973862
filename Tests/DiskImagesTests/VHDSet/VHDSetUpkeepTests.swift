import Foundation
import TestSupport
import Testing

@testable import DiskImages

/// Catalogues that are made here, and the life of a set from checkpoint to merge.
@Suite("Upkeep of VHD Sets")
struct VHDSetUpkeepTests {
    private let set: SetFolder
    private var upkeep: VHDSetUpkeep { VHDSetUpkeep(set.catalogue) }

    init() throws { set = try SetFolder() }

    private func path(_ name: String) -> String { set.folder.file(name) }

    private func catalogue() throws -> VHDSetCatalogue { try VHDSetCatalogue(try LocalFiles().open(set.catalogue)) }

    private func code(_ body: () throws(ImageError) -> Void) -> ImageError.Code? {
        do throws(ImageError) {
            try body()
            return nil
        } catch {
            return error.code
        }
    }

    @Test func whatIsWrittenIsReadAgain() throws {
        let text = #"""
            [{"Path":"C:\\x\\web.vhds","AllPaths":["C:\\x\\ü.avhdx","/b/c.avhdx"],"LeafPath":"../l.avhdx",
              "NoSnapshotApplied":true,"SnapshotIdList":["aaaaaaaa-1111-4111-8111-111111111111"]},
             {"SnapshotId":"11111111-1111-4111-8111-111111111111","SnapshotPath":"a\"b.avhdx",
              "ParentPathsList":["C:\\x\\y.avhdx"],"CreationTime":"20231123205845.123456+060",
              "Identifier":"22222222-1111-4111-8111-111111111111","ParentIdentifiers":[null,"33333333-1111-4111-8111-111111111111"]},
             {"SnapshotId":"44444444-1111-4111-8111-111111111111","CreationTime":"2023-01-02T03:04:05",
              "ResilientChangeTrackingId":"rctX:5bfde23b:ce75:4303:b54f:6c18394f105c:00000001"}]
            """#
        let first = try VHDSetCatalogue(decoding: Array(text.utf8), name: "a")
        #expect(first.snapshots.count == 3)
        var read = try VHDSetCatalogue(decoding: first.encoded(), name: "a")
        #expect(read == first)
        read.snapshots = []
        #expect(try VHDSetCatalogue(decoding: read.encoded(), name: "a") == read)
    }

    @Test func aLife() throws {
        try set.chain("base.vhdx")
        try upkeep.create(disk: path("base.vhdx"))
        #expect(try set.layers() == ["base.vhdx"])
        #expect(try set.places() == [])
        // Two checkpoints.
        try set.image("monday.avhdx", on: "base.vhdx")
        try upkeep.add(SetFolder.id(1), leaf: path("monday.avhdx"))
        try set.image("tuesday.avhdx", on: "monday.avhdx")
        try upkeep.add(SetFolder.id(2), leaf: path("tuesday.avhdx"))
        #expect(try set.layers() == ["tuesday.avhdx", "monday.avhdx", "base.vhdx"])
        #expect(try set.places() == ["2 layer 1", "1 layer 2"])
        let entry = try #require(try catalogue().snapshots.last)
        #expect(entry.snapshotPath?.text == "monday.avhdx")
        #expect(entry.parentPaths.map(\.text) == ["base.vhdx"])
        #expect(entry.identifier == SetFolder.identifier("monday.avhdx"))
        #expect(entry.parentIdentifiers == [SetFolder.identifier("base.vhdx")])
        #expect(try catalogue().allPaths.map(\.text) == ["base.vhdx", "monday.avhdx", "tuesday.avhdx"])
        // A third, and then the second is merged into the base: Monday's checkpoint is lost, and proven by the third.
        try set.image("leaf.avhdx", on: "tuesday.avhdx")
        try upkeep.add(SetFolder.id(3), leaf: path("leaf.avhdx"))
        let merged = GUID(high: 77, low: 77)
        try set.image("base.vhdx", identifier: merged)
        try set.image(
            "tuesday.avhdx",
            on: "base.vhdx",
            identifier: SetFolder.identifier("tuesday.avhdx"),
            parentIdentifier: merged
        )
        #expect(try set.layers() == ["leaf.avhdx", "tuesday.avhdx", "base.vhdx"])
        #expect(try set.places() == ["3 layer 1", "2 above 2", "1 nowhere"])
        let lost = try #require(try set.open().snapshots.first { $0.place == .above(2) })
        #expect(lost.explanation.contains("base.vhdx") && !lost.created.isEmpty)
    }

    @Test func theLayerAndTheTimeCanBeSaid() throws {
        try set.chain("leaf.avhdx", "b.avhdx", "a.avhdx")
        try upkeep.create()
        #expect(try catalogue().isEmpty)
        #expect(set.refusal()?.code == .corrupt)
        let time = try #require(CatalogueTime("2023-11-23T20:58:45Z"))
        #expect(code { () throws(ImageError) in try upkeep.add(SetFolder.id(1)) } == .invalidParameter)
        try upkeep.add(SetFolder.id(1), layer: path("a.avhdx"), leaf: path("leaf.avhdx"), created: time)
        try upkeep.add(SetFolder.id(2))
        #expect(try set.places() == ["2 layer 1", "1 layer 2"])
        #expect(try set.open().snapshots.last?.created == "2023-11-23T20:58:45Z")
        #expect(code { () throws(ImageError) in try upkeep.add(SetFolder.id(2)) } == .alreadyExists)
        for wrong in ["leaf.avhdx", "other.avhdx"] {
            try set.image("other.avhdx")
            #expect(
                code { () throws(ImageError) in try upkeep.add(SetFolder.id(3), layer: path(wrong)) }
                    == .invalidParameter
            )
        }
        #expect(
            code { () throws(ImageError) in try upkeep.add(SetFolder.id(3), leaf: path("other.avhdx")) }
                == .invalidParameter
        )
        // A refusal changed nothing.
        #expect(try set.places() == ["2 layer 1", "1 layer 2"])
        try upkeep.moveLeaf(to: path("b.avhdx"))
        #expect(try set.layers() == ["b.avhdx", "a.avhdx"])
        // What is written to now is no longer kept apart from the snapshot by its place, but by its identity.
        #expect(try set.places() == ["2 layer 0", "1 layer 1"])
        try set.image("b.avhdx", on: "a.avhdx", identifier: GUID(high: 3, low: 3))
        #expect(try set.places() == ["1 layer 1", "2 nowhere"])
    }

    @Test func aCatalogueOfAHostCanBeGoneOnWith() throws {
        try set.chain("leaf.avhdx", "b.avhdx", "a.avhdx")
        try set.write(
            all: [#"C:\x\web.vhds"#, #"C:\x\leaf.avhdx"#, #"C:\x\a.avhdx"#],
            SetFolder.Entry(id: 1, path: #"C:\x\a.avhdx"#)
        )
        try upkeep.add(SetFolder.id(2))
        let read = try catalogue()
        #expect(read.path == #"C:\x\web.vhds"#)
        #expect(read.allPaths.map(\.location) == ["web.vhds", "leaf.avhdx", "a.avhdx", "b.avhdx"])
        #expect(try set.places() == ["2 layer 1", "1 layer 2"])
    }

    @Test func filesInOtherFolders() throws {
        try FileManager.default.createDirectory(atPath: path("sets"), withIntermediateDirectories: true)
        try FileManager.default.createDirectory(atPath: path("disks"), withIntermediateDirectories: true)
        try set.image("disks/base.vhdx")
        try set.image("disks/leaf.avhdx", on: nil)
        let other = VHDSetUpkeep(path("sets/web.vhdset.json"))
        try other.create(disk: path("disks/base.vhdx"))
        let chain = try DiskChain.open(path("sets/web.vhdset.json"), in: LocalFiles())
        #expect(chain.layers.first?.file.name.hasSuffix("sets/../disks/base.vhdx") == true)
    }

    @Test func theFileKeepsItsPermissionsAndALinkStaysALink() throws {
        try set.chain("leaf.avhdx", "a.avhdx")
        try upkeep.create(disk: path("leaf.avhdx"))
        #expect(chmod(set.catalogue, 0o640) == 0)
        #expect(symlink("web.vhdset.json", path("link.vhdset.json")) == 0)
        try VHDSetUpkeep(path("link.vhdset.json")).add(SetFolder.id(1))
        #expect(try set.places() == ["1 layer 1"])
        let files = FileManager.default
        #expect(try files.attributesOfItem(atPath: set.catalogue)[.posixPermissions] as? Int == 0o640)
        #expect(try files.destinationOfSymbolicLink(atPath: path("link.vhdset.json")) == "web.vhdset.json")
    }

    @Test func refusals() throws {
        try set.chain("leaf.avhdx", "a.avhdx")
        #expect(code { () throws(ImageError) in try VHDSetUpkeep(path("a.json")).create() } == .invalidParameter)
        #expect(code { () throws(ImageError) in try upkeep.create(disk: path("gone.vhdx")) } == .fileNotFound)
        try RawFile(path("disk.raw"), create: true).write([1], at: 0)
        #expect(code { () throws(ImageError) in try upkeep.create(disk: path("disk.raw")) } == .unsupported)
        #expect(code { () throws(ImageError) in try upkeep.add(SetFolder.id(1)) } == .fileNotFound)
        #expect(!FileManager.default.fileExists(atPath: set.catalogue))
        try upkeep.create(disk: path("leaf.avhdx"))
        #expect(code { () throws(ImageError) in try upkeep.create() } == .alreadyExists)
        // Nothing is left beside the files.
        let names = try FileManager.default.contentsOfDirectory(atPath: set.folder.path).sorted()
        #expect(names == ["a.avhdx", "disk.raw", "leaf.avhdx", "web.vhdset.json"])
        // A set at rest has no live file that a snapshot could lie below.
        try set.write(SetFolder.Entry(id: 1, path: "leaf.avhdx"))
        #expect(code { () throws(ImageError) in try upkeep.add(SetFolder.id(2)) } == .invalidParameter)
    }

    @Test func oneChangeAtATime() throws {
        try set.chain("leaf.avhdx", "a.avhdx")
        try upkeep.create(disk: path("leaf.avhdx"))
        let lock = try FileStorage.open(set.catalogue, isDurable: false)
        #expect(code { () throws(ImageError) in try upkeep.add(SetFolder.id(1)) } == .inUse)
        withExtendedLifetime(lock) {}
    }

    @Test func aCheckLooksAtTheLiveDisk() throws {
        try set.chain("leaf.avhdx", "a.avhdx")
        try upkeep.create(disk: path("leaf.avhdx"))
        #expect(try DiskChain.check(set.catalogue, in: LocalFiles()).isSound)
        try set.image("a.avhdx", identifier: GUID(high: 5, low: 5))
        #expect(try DiskChain.check(set.catalogue, in: LocalFiles()).problems.map(\.code) == [.parentMismatch])
        try set.write(text: "[")
        #expect(try DiskChain.check(set.catalogue, in: LocalFiles()).problems.map(\.code) == [.corrupt])
    }
}

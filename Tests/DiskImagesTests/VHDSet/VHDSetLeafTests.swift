import Foundation
import TestSupport
import Testing

@testable import DiskImages

/// Which file of a set is the live one.
@Suite("The live file of a VHD Set")
struct VHDSetLeafTests {
    private let set: SetFolder

    init() throws { set = try SetFolder() }

    @Test func itIsTheOneThatNoSnapshotNames() throws {
        try set.chain("leaf.avhdx", "b.avhdx", "a.avhdx", "base.vhdx")
        try set.write(
            all: [#"C:\x\web.vhds"#, #"C:\x\base.vhdx"#, #"C:\x\A.avhdx"#, #"C:\x\b.avhdx"#, #"C:\x\leaf.avhdx"#],
            SetFolder.Entry(id: 1, path: #"c:\X\a.avhdx"#, parents: [#"C:\x\base.vhdx"#]),
            SetFolder.Entry(id: 2, path: #"C:\x\b.avhdx"#, parents: [#"C:\x\a.avhdx"#, #"C:\x\base.vhdx"#])
        )
        let chain = try set.open()
        #expect(try set.layers() == ["leaf.avhdx", "b.avhdx", "a.avhdx", "base.vhdx"])
        #expect(chain.format == .vhdset)
        #expect(chain.catalogue?.name == set.catalogue)
        #expect(chain.snapshots.map(\.path).map { $0.hasPrefix(set.folder.path) } == [true, true])
        #expect(try set.places() == ["2 layer 1", "1 layer 2"])
    }

    @Test func withoutParentsItIsTheTop() throws {
        try set.chain("leaf.avhdx", "b.avhdx", "a.avhdx", "base.vhdx")
        for order in [["base.vhdx", "leaf.avhdx", "b.avhdx"], ["leaf.avhdx", "b.avhdx", "base.vhdx"]] {
            try set.write(all: order, SetFolder.Entry(id: 1, path: "a.avhdx"))
            #expect(try set.layers().first == "leaf.avhdx")
            #expect(try set.places() == ["1 layer 2"])
        }
    }

    @Test func twoTopsAreAmbiguousUntilOneIsNamed() throws {
        try set.chain("one.avhdx", "base.vhdx")
        try set.image("two.avhdx", on: "base.vhdx")
        try set.write(all: ["one.avhdx", "two.avhdx", "base.vhdx"], SetFolder.Entry(id: 1, path: "base.vhdx"))
        let error = try #require(set.refusal())
        #expect(error.code == .corrupt && error.path == set.catalogue)
        #expect(error.message.contains("one.avhdx") && error.message.contains("LeafPath"))
        try set.write(
            all: ["one.avhdx", "two.avhdx", "base.vhdx"],
            leaf: "two.avhdx",
            SetFolder.Entry(id: 1, path: "base.vhdx")
        )
        #expect(try set.layers() == ["two.avhdx", "base.vhdx"])
        #expect(try set.places() == ["1 layer 1"])
    }

    /// What is not there might have been the live file.
    @Test func aCandidateThatIsNotThereIsARefusal() throws {
        try set.chain("leaf.avhdx", "base.vhdx")
        try set.write(all: ["leaf.avhdx", "gone.avhdx"], SetFolder.Entry(id: 1, path: "base.vhdx"))
        #expect(set.refusal()?.code == .fileNotFound)
        try set.write(all: ["leaf.avhdx"], SetFolder.Entry(id: 1, path: "base.vhdx", parents: ["gone.avhdx"]))
        #expect(try set.layers() == ["leaf.avhdx", "base.vhdx"])
    }

    @Test func aSetThatRestsHasItsNewestSnapshot() throws {
        try set.chain("b.avhdx", "a.avhdx", "base.vhdx")
        try set.write(SetFolder.Entry(id: 1, path: "a.avhdx"), SetFolder.Entry(id: 2, path: "b.avhdx"))
        #expect(try set.layers().first == "b.avhdx")
        #expect(try set.places() == ["2 layer 0", "1 layer 1"])
        // Two branches: the time decides, and only if it is known of both.
        try set.image("c.avhdx", on: "a.avhdx")
        try set.write(
            SetFolder.Entry(id: 1, path: "c.avhdx", created: "2024-01-01T00:00:00Z"),
            SetFolder.Entry(id: 2, path: "b.avhdx", created: "2024-02-01T00:00:00Z")
        )
        #expect(try set.layers().first == "b.avhdx")
        #expect(try set.places() == ["2 layer 0", "1 nowhere"])
        for time in ["2024-02-01T00:00:00Z", "2024-01-01T00:00:00", nil] {
            try set.write(
                SetFolder.Entry(id: 1, path: "c.avhdx", created: time),
                SetFolder.Entry(id: 2, path: "b.avhdx", created: "2024-02-01T00:00:00Z")
            )
            #expect(set.refusal()?.code == .corrupt)
        }
    }

    @Test func pathsOfPOSIXKeepTheirMeaning() throws {
        try FileManager.default.createDirectory(atPath: set.folder.file("in"), withIntermediateDirectories: true)
        try set.image("base.vhdx")
        try set.image("in/leaf.avhdx", on: nil)
        for path in ["in/leaf.avhdx", "./in//leaf.avhdx", "in/../in/leaf.avhdx", set.folder.file("in/leaf.avhdx")] {
            try set.write(all: [path])
            #expect(try set.layers().count == 1, "\(path)")
        }
        try set.write(all: [#"C:\in\base.vhdx"#])
        #expect(try set.layers() == ["base.vhdx"])
    }

    @Test func whatIsNoCatalogueIsRefused() throws {
        for (text, code) in [
            ("", ImageError.Code.notADisk), ("No catalogue.", .notADisk), ("{", .corrupt), ("[]", .corrupt),
            (#"{"AllPaths":[]}"#, .corrupt), (#"{"AllPaths":["gone.vhdx"]}"#, .fileNotFound),
            (#"{"AllPaths":["web.vhdset.json"]}"#, .unsupported), (#"{"LeafPath":"a\u0000b"}"#, .corrupt),
        ] {
            try set.write(text: text)
            #expect(set.refusal()?.code == code, "\(text)")
        }
        try RawFile(set.catalogue, create: true).write(Array(repeating: 0x5B, count: 5 << 20), at: 0)
        #expect(set.refusal()?.code == .resourceLimit)
    }

    @Test func anErrorOfTheChainComesThrough() throws {
        try set.image("leaf.avhdx", on: "base.vhdx")
        try set.write(all: ["leaf.avhdx"])
        #expect(set.refusal()?.code == .parentNotFound)
        try set.image("base.vhdx", identifier: GUID(high: 9, low: 9))
        #expect(set.refusal()?.code == .parentMismatch)
    }
}

import Foundation
import TestSupport
import Testing

@testable import DiskImages

@Suite("New VHDX images")
struct VHDXCreationTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func code(_ creation: VHDXCreation, _ name: String) -> ImageError.Code? {
        do throws(ImageError) {
            try creation.create(at: folder.file(name))
            return nil
        } catch {
            return error.code
        }
    }

    private func description(_ name: String) throws -> ImageDescription {
        try LocalFiles().open(folder.file(name)).openImage(in: LocalFiles()).description
    }

    @Test func aDynamicDisk() throws {
        try VHDXCreation.dynamic(virtualSize: 10 << 30).create(at: folder.file("a.vhdx"))
        let first = try description("a.vhdx")
        #expect(first.diskType == .dynamic)
        #expect(first.virtualSize == 10 << 30)
        #expect(first.blockSize == 32 << 20)
        #expect(first.logicalSectorSize == 512)
        #expect(first.physicalSectorSize == 4_096)
        #expect(first.parent == nil)
        var mask = SectorMask()
        let image = try VHDXImage(LocalFiles().open(folder.file("a.vhdx")))
        #expect(try image.extent(at: 0, limit: 10 << 30, into: &mask) == .uniform(.absent, end: 10 << 30))
        try VHDXCreation.dynamic(virtualSize: 4_096 * 5, blockSize: 1 << 28, logicalSectorSize: 4_096)
            .create(at: folder.file("b.vhdx"))
        let second = try description("b.vhdx")
        #expect(second.blockSize == 1 << 28)
        #expect(second.logicalSectorSize == 4_096)
        #expect(second.identifier != first.identifier && second.virtualDiskID != first.virtualDiskID)
    }

    @Test func aDifferencingDisk() throws {
        try VHDXCreation.dynamic(virtualSize: 12_288, logicalSectorSize: 4_096).create(at: folder.file("p.vhdx"))
        try VHDXCreation.differencing(parent: folder.file("p.vhdx")).create(at: folder.file("c.avhdx"))
        let parent = try description("p.vhdx")
        let child = try description("c.avhdx")
        #expect(child.diskType == .differencing)
        #expect(child.virtualSize == 12_288)
        #expect(child.blockSize == 2 << 20)
        #expect(child.logicalSectorSize == 4_096)
        #expect(child.virtualDiskID == parent.virtualDiskID)
        #expect(child.identifier != parent.identifier)
        #expect(
            child.parent == ParentReference(candidates: ["p.vhdx"], identifiers: [try #require(parent.identifier)])
        )
        // Written to, the parent is another disk.
        try ImageWriting.open(folder.file("p.vhdx")).writeZeroes(at: 0, count: 4_096)
        #expect(throws: ImageError.self) { try DiskChain.open(folder.file("c.avhdx"), in: LocalFiles()) }
    }

    @Test func theParentIsNamedAsWindowsDoes() throws {
        let manager = FileManager.default
        try manager.createDirectory(atPath: folder.file("a/b"), withIntermediateDirectories: true)
        try manager.createDirectory(atPath: folder.file("c"), withIntermediateDirectories: true)
        try manager.createSymbolicLink(atPath: folder.file("link"), withDestinationPath: folder.file("a/b"))
        let cases: [(parent: String, child: String, path: String)] = [
            ("p.vhdx", "x.vhdx", ".\\p.vhdx"), ("p.vhdx", "a/b/x.vhdx", "..\\..\\p.vhdx"),
            ("a/p.vhdx", "w.vhdx", ".\\a\\p.vhdx"), ("a/p.vhdx", "c/x.vhdx", "..\\a\\p.vhdx"),
            ("a/b/../p.vhdx", "a/y.vhdx", ".\\p.vhdx"), ("a/p.vhdx", "link/z.vhdx", "..\\p.vhdx"),
        ]
        for each in cases {
            if !manager.fileExists(atPath: folder.file(each.parent)) {
                try VHDXCreation.dynamic(virtualSize: 1 << 20).create(at: folder.file(each.parent))
            }
            try VHDXCreation.differencing(parent: folder.file(each.parent)).create(at: folder.file(each.child))
            let path = try RelativeWindowsPath.from(folderOf: folder.file(each.child), to: folder.file(each.parent))
            #expect(path == each.path)
            let bytes = try RawFile(folder.file(each.child)).read(at: 2 << 20, count: 1 << 20)
            let text = each.path.utf16.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] }
            #expect(Data(bytes).range(of: Data(text)) != nil, "\(each)")
            #expect(try DiskChain.open(folder.file(each.child), in: LocalFiles()).layers.count == 2, "\(each)")
        }
        try VHDXCreation.dynamic(virtualSize: 1 << 20).create(at: folder.file("odd\\name.vhdx"))
        #expect(code(.differencing(parent: folder.file("odd\\name.vhdx")), "x2.vhdx") == .invalidParameter)
    }

    @Test func nothingIsEverOverwritten() throws {
        try RawFile(folder.file("a.vhdx"), create: true).write([1, 2, 3], at: 0)
        try VHDXCreation.dynamic(virtualSize: 1 << 20).create(at: folder.file("p.vhdx"))
        #expect(code(.dynamic(virtualSize: 1 << 20), "a.vhdx") == .alreadyExists)
        #expect(code(.differencing(parent: folder.file("p.vhdx")), "a.vhdx") == .alreadyExists)
        #expect(code(.differencing(parent: folder.file("none.vhdx")), "a.vhdx") == .alreadyExists)
        // A link that leads nowhere is a name as well.
        #expect(symlink(folder.file("nowhere"), folder.file("b.vhdx")) == 0)
        #expect(code(.dynamic(virtualSize: 1 << 20), "b.vhdx") == .alreadyExists)
        #expect(try RawFile(folder.file("a.vhdx")).read(at: 0, count: 10) == [1, 2, 3])
    }

    @Test func aFailureLeavesNoFile() throws {
        try RawFile(folder.file("bad.vhdx"), create: true).write(Array("vhdxfile".utf8), at: 0)
        let cases: [(VHDXCreation, String, ImageError.Code)] = [
            (.dynamic(virtualSize: 0), "a.vhdx", .invalidParameter),
            (.dynamic(virtualSize: 513), "a.vhdx", .invalidParameter),
            (.dynamic(virtualSize: 512, logicalSectorSize: 4_096), "a.vhdx", .invalidParameter),
            (.dynamic(virtualSize: (64 << 40) + 512), "a.vhdx", .invalidParameter),
            (.dynamic(virtualSize: .max & ~511), "a.vhdx", .invalidParameter),
            (.dynamic(virtualSize: 512, blockSize: 3 << 20), "a.vhdx", .invalidParameter),
            (.dynamic(virtualSize: 512, blockSize: 1 << 19), "a.vhdx", .invalidParameter),
            (.dynamic(virtualSize: 512, blockSize: 1 << 29), "a.vhdx", .invalidParameter),
            (.dynamic(virtualSize: 512, logicalSectorSize: 1_024), "a.vhdx", .invalidParameter),
            (.dynamic(virtualSize: 512), "a.vhd", .invalidParameter),
            (.dynamic(virtualSize: 512), "a.vhds", .invalidParameter),
            (.dynamic(virtualSize: 512), "none/a.vhdx", .fileNotFound),
            (.differencing(parent: folder.file("none.vhdx")), "a.vhdx", .fileNotFound),
            (.differencing(parent: folder.file("bad.vhdx")), "a.vhdx", .corrupt),
            (.differencing(parent: folder.path), "a.vhdx", .notADisk),
        ]
        for (creation, name, expected) in cases {
            #expect(code(creation, name) == expected, "\(name), \(creation)")
            #expect(!FileManager.default.fileExists(atPath: folder.file(name)))
        }
        #expect(throws: ImageError.self) { try VHDXCreation.dynamic(virtualSize: 512).create(at: "a\0.vhdx") }
    }

    /// The largest table there is: 64 TiB in blocks of 1 MiB.
    @Test func theLargestDisk() throws {
        try VHDXCreation.dynamic(virtualSize: 64 << 40, blockSize: 1 << 20).create(at: folder.file("a.vhdx"))
        try VHDXCreation.differencing(parent: folder.file("a.vhdx"), blockSize: 1 << 20)
            .create(at: folder.file("b.vhdx"))
        let image = try VHDXImage(LocalFiles().open(folder.file("b.vhdx")))
        #expect(image.description.virtualSize == 64 << 40)
        let last: UInt64 = (64 << 40) - (1 << 20)
        var mask = SectorMask()
        #expect(try image.extent(at: last, limit: 64 << 40, into: &mask) == .uniform(.absent, end: 64 << 40))
    }

    /// "When forking, an implementation MUST copy all metadata items with this field set" (2.6.1.2).
    @Test func metadataOfTheVirtualDiskIsInherited() throws {
        var parent = VHDXBuilder(virtualSize: 1 << 20, blockSize: 1 << 20)
        let copied = GUID(high: 0xC0, low: 1)
        parent.extraItems = [
            .init(id: copied, bytes: Array("kept".utf8), flags: 3),
            .init(id: GUID(high: 0xC0, low: 2), bytes: [9], flags: 1),
        ]
        try parent.write(to: folder.file("p.vhdx"))
        try VHDXCreation.differencing(parent: folder.file("p.vhdx")).create(at: folder.file("c.vhdx"))
        let image = try VHDXImage(LocalFiles().open(folder.file("c.vhdx")))
        let table = try VHDXMetadataTable.read(from: image.structure.file, region: image.structure.regions.metadata)
        let users = table.entries.filter(\.isUser)
        #expect(users.map(\.id) == [copied])
        let place = image.structure.regions.metadata.offset + UInt64(try #require(users.first).offset)
        #expect(try image.file.bytes(at: place, count: 4) == Array("kept".utf8))
    }
}

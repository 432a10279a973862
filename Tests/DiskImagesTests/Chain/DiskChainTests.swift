import Foundation
import TestSupport
import Testing

@testable import DiskImages

/// How parents are found and recognised.
@Suite("Chains")
struct DiskChainTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private let identifier = GUID(high: 0x5555_5555_5555_4555, low: 0x8555_5555_5555_5555)

    private func disk(_ identifier: GUID) -> VHDXBuilder {
        var builder = VHDXBuilder(virtualSize: 1 << 20, blockSize: 1 << 20)
        builder.dataWriteGUID = identifier
        return builder
    }

    /// Writes a child at `name` whose locator is made of `locator`.
    private func writeChild(_ locator: [(String, String)], named name: String = "child.avhdx") throws {
        var child = disk(GUID(high: 0xC, low: 0xC))
        child.parameterFlags = 2
        child.locator = locator.map { (key: $0.0, value: $0.1) }
        try child.write(to: folder.file(name))
    }

    private var linkage: (String, String) { ("parent_linkage", identifier.description) }

    private func open(_ name: String = "child.avhdx") throws(ImageError) -> [String] {
        try DiskChain.open(folder.file(name), in: LocalFiles()).layers.map {
            String($0.file.name.dropFirst(folder.path.count + 1))
        }
    }

    private func refusal(_ name: String = "child.avhdx") -> ImageError? {
        do throws(ImageError) {
            let names = try open(name)
            Issue.record("the chain \(names) opens")
            return nil
        } catch {
            return error
        }
    }

    @Test func everyFormOfPathLeadsToTheParent() throws {
        try FileManager.default.createDirectory(atPath: folder.file("a/b"), withIntermediateDirectories: true)
        try disk(identifier).write(to: folder.file("a/p.vhdx"))
        let forms: [(child: String, key: String, path: String)] = [
            ("a/c.vhdx", "relative_path", ".\\p.vhdx"), ("a/c.vhdx", "relative_path", "p.vhdx"),
            ("a/b/c.vhdx", "relative_path", "..\\p.vhdx"), ("c.vhdx", "relative_path", ".\\a\\p.vhdx"),
            ("a/b/c.vhdx", "relative_path", "..\\..\\a\\p.vhdx"), ("a/b/c.vhdx", "relative_path", "../p.vhdx"),
            ("a/c.vhdx", "volume_path", "\\\\?\\Volume{26A21BDA-A627-11D7-9931-806E6F6E6963}\\x\\p.vhdx"),
            ("a/c.vhdx", "absolute_win32_path", "\\\\?\\d:\\x\\p.vhdx"),
            ("a/c.vhdx", "absolute_win32_path", "D:\\x\\p.vhdx"), ("a/c.vhdx", "absolute_win32_path", "D:p.vhdx"),
            ("a/c.vhdx", "absolute_win32_path", "\\\\server\\share\\x\\p.vhdx"),
            ("a/c.vhdx", "relative_path", "/elsewhere/p.vhdx"),
        ]
        for form in forms {
            try writeChild([linkage, (form.key, form.path)], named: form.child)
            let chain = try DiskChain.open(folder.file(form.child), in: LocalFiles())
            #expect(chain.layers.count == 2, "\(form)")
            #expect(chain.layers[1].description.identifier == identifier, "\(form)")
        }
    }

    /// The order is that of the specification, whatever the order of the keys in the file.
    @Test func theFirstRightCandidateInTheOrderOfTheSpecificationWins() throws {
        try writeChild([
            ("absolute_win32_path", "C:\\three.vhdx"), ("volume_path", "\\\\?\\Volume{0}\\two.vhdx"),
            ("relative_path", "one.vhdx"), linkage,
        ])
        #expect(refusal()?.code == .parentNotFound)
        try disk(identifier).write(to: folder.file("three.vhdx"))
        #expect(try open() == ["child.avhdx", "three.vhdx"])
        try disk(identifier).write(to: folder.file("two.vhdx"))
        #expect(try open() == ["child.avhdx", "two.vhdx"])
        try disk(GUID(high: 1, low: 1)).write(to: folder.file("one.vhdx"))
        #expect(try open() == ["child.avhdx", "two.vhdx"])
        try RawFile(folder.file("one.vhdx")).truncate(to: 100)
        #expect(try open() == ["child.avhdx", "two.vhdx"])
        try disk(identifier).write(to: folder.file("one.vhdx"))
        #expect(try open() == ["child.avhdx", "one.vhdx"])
    }

    @Test func thePlacesLookedAtAreNamed() throws {
        try writeChild([linkage, ("relative_path", "..\\x\\one.vhdx"), ("absolute_win32_path", "C:\\y\\two.vhdx")])
        let error = try #require(refusal())
        #expect(error.code == .parentNotFound)
        #expect(error.path == folder.file("child.avhdx"))
        #expect(error.message.contains("\"../x/one.vhdx\"") && error.message.contains("\"two.vhdx\""))
    }

    @Test func aStrangerIsAMismatch() throws {
        try writeChild([linkage, ("relative_path", "p.vhdx")])
        try disk(GUID(high: 1, low: 1)).write(to: folder.file("p.vhdx"))
        let error = try #require(refusal())
        #expect(error.code == .parentMismatch)
        #expect(error.message.contains(identifier.description))
        #expect(error.message.contains(GUID(high: 1, low: 1).description))
    }

    /// While a checkpoint is merged the second key has the parent's new identity. Hyper-V leaves it zero otherwise, and zero
    /// is nobody's identity.
    @Test func theSecondLinkageCountsUnlessItIsZero() throws {
        let paths = ("relative_path", "p.vhdx")
        try disk(identifier).write(to: folder.file("p.vhdx"))
        let other = ("parent_linkage", GUID(high: 1, low: 1).description)
        try writeChild([other, ("parent_linkage2", identifier.description.uppercased()), paths])
        #expect(try open() == ["child.avhdx", "p.vhdx"])
        try disk(.zero).write(to: folder.file("p.vhdx"))
        try writeChild([other, ("parent_linkage2", GUID.zero.description), paths])
        #expect(refusal()?.code == .parentMismatch)
    }

    @Test func aDamagedParentIsNamedWithItsOwnError() throws {
        try writeChild([linkage, ("relative_path", "p.vhdx"), ("absolute_win32_path", "C:\\q.vhdx")])
        try disk(identifier).write(to: folder.file("p.vhdx"))
        try RawFile(folder.file("p.vhdx")).truncate(to: 1 << 20)
        let error = try #require(refusal())
        #expect(error.code == .corrupt)
        #expect(error.path == folder.file("p.vhdx"))
        // Another disk in another place does not hide that.
        try disk(GUID(high: 1, low: 1)).write(to: folder.file("q.vhdx"))
        #expect(refusal()?.code == .corrupt)
        try RawFile(folder.file("p.vhdx"), create: true).write(Array("text".utf8), at: 0)
        #expect(refusal()?.code == .notADisk)
    }

    @Test func aDiskThatIsItsOwnAncestorIsACycle() throws {
        try writeChild([("parent_linkage", GUID(high: 0xC, low: 0xC).description), ("relative_path", "child.avhdx")])
        #expect(refusal()?.code == .chainCycle)
        // The same file under another name, one layer further.
        try writeChild([linkage, ("relative_path", "middle.vhdx")])
        var middle = disk(identifier)
        middle.setParent(GUID(high: 0xC, low: 0xC), path: "again.avhdx")
        try middle.write(to: folder.file("middle.vhdx"))
        #expect(link(folder.file("child.avhdx"), folder.file("again.avhdx")) == 0)
        #expect(refusal()?.code == .chainCycle)
    }

    @Test func sectorSizesMustAgreeAndSizesNeedNot() throws {
        try writeChild([linkage, ("relative_path", "p.vhdx")])
        var parent = disk(identifier)
        parent.virtualSize = 5 << 20
        try parent.write(to: folder.file("p.vhdx"))
        #expect(try open() == ["child.avhdx", "p.vhdx"])
        parent.logicalSectorSize = 4_096
        try parent.write(to: folder.file("p.vhdx"))
        let error = try #require(refusal())
        #expect(error.code == .corrupt)
        #expect(error.message.contains("512") && error.message.contains("4096"))
    }

    @Test func aLongChainOpensAndATooLongOneDoesNot() throws {
        let count = DiskChain.maximumDepth + 1
        for index in 0..<count {
            var layer = disk(GUID(high: 1, low: UInt64(index + 1)))
            if index + 1 < count { layer.setParent(GUID(high: 1, low: UInt64(index + 2)), path: "\(index + 1).vhdx") }
            try layer.write(to: folder.file("\(index).vhdx"))
        }
        var limit = rlimit()
        #expect(getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0)
        if limit.rlim_cur > UInt(count) + 100 {
            #expect(try open("1.vhdx").count == DiskChain.maximumDepth)
        }
        // Either the limit of the chain or that of the process.
        #expect(refusal("0.vhdx")?.code == .resourceLimit)
    }

    /// Files of which some may not be opened.
    private struct FencedFiles: ImageFiles {
        var inside: @Sendable (String) -> Bool

        func open(_ name: String) throws(ImageError) -> ImageFile { try LocalFiles().open(name) }

        func open(_ path: String, besides child: ImageFile) throws(ImageError) -> ImageFile {
            guard inside(path) else { throw ImageError(.pathNotAllowed, "This is outside.", path: path) }
            return try LocalFiles().open(path, besides: child)
        }
    }

    @Test func onlyCandidatesOutsideTheRootsIsNotAllowed() throws {
        try writeChild([linkage, ("relative_path", "..\\p.vhdx"), ("absolute_win32_path", "C:\\..\\q.vhdx")])
        let name = folder.file("child.avhdx")
        func code(_ inside: @escaping @Sendable (String) -> Bool) -> ImageError.Code? {
            do throws(ImageError) {
                _ = try DiskChain.open(name, in: FencedFiles(inside: inside))
                return nil
            } catch {
                return error.code
            }
        }
        #expect(code { _ in false } == .pathNotAllowed)
        #expect(code { $0 == "q.vhdx" } == .parentNotFound)
        try disk(identifier).write(to: folder.file("q.vhdx"))
        #expect(code { $0 == "q.vhdx" } == nil)
        try disk(GUID(high: 1, low: 1)).write(to: folder.file("q.vhdx"))
        #expect(code { $0 == "q.vhdx" } == .parentMismatch)
    }

    @Test func theLeafsOwnErrorsComeThrough() throws {
        #expect(refusal("none.vhdx")?.code == .fileNotFound)
        try RawFile(folder.file("a.vhdx"), create: true).write(Array("vhdxfile".utf8), at: 0)
        #expect(refusal("a.vhdx")?.code == .corrupt)
    }
}

import DiskDeltaProtocol
import DiskImages
import Foundation
import TestSupport
import Testing

@testable import DiskDeltaService

/// Nothing outside the roots is ever opened, by any name, symbolic link or parent locator.
@Suite("The files inside the roots", .timeLimit(.minutes(1)))
struct RootedFilesTests {
    private let folder: TemporaryFolder
    private let files: RootedFiles

    /// `a` and `b` are roots, `secret` is not, and `a/inner` is a root inside a root.
    init() throws {
        folder = try TemporaryFolder()
        for path in ["a/sub", "a/inner", "b", "secret"] {
            try FileManager.default.createDirectory(atPath: folder.file(path), withIntermediateDirectories: true)
        }
        for path in ["a/one.vhdx", "a/sub/two.vhdx", "a/inner/three.vhdx", "b/four.vhdx", "secret/five.vhdx"] {
            try Self.disk(Self.base).write(to: folder.file(path))
        }
        files = try RootedFiles([
            Root(name: "a", directory: folder.file("a")), Root(name: "b", directory: folder.file("b")),
            Root(name: "inner", directory: folder.file("a/inner")),
        ])
    }

    private static let base = GUID(high: 0x5555_5555_5555_4555, low: 0x8555_5555_5555_5555)

    private static func disk(_ identifier: GUID) -> VHDXBuilder {
        var builder = VHDXBuilder(virtualSize: 1 << 20, blockSize: 1 << 20)
        builder.dataWriteGUID = identifier
        return builder
    }

    private func link(_ path: String, to destination: String) throws {
        try FileManager.default.createSymbolicLink(atPath: folder.file(path), withDestinationPath: destination)
    }

    private func refusal(_ name: String, sourceLocation: SourceLocation = #_sourceLocation) -> ImageError.Code? {
        do throws(ImageError) {
            let file = try files.open(name)
            Issue.record("\(name) opens \(file.path)", sourceLocation: sourceLocation)
            return nil
        } catch {
            return error.code
        }
    }

    // MARK: Names

    @Test func aNameBelowARoot() throws {
        #expect(try files.open("a/one.vhdx").name == "a/one.vhdx")
        #expect(try files.open("a/sub/two.vhdx").size > 0)
        #expect(try files.open("b/four.vhdx").size > 0)
        #expect(try files.open("inner/three.vhdx").size > 0)
        #expect(try files.open("a/inner/three.vhdx").size > 0)
        #expect(try files.open("a//./sub///two.vhdx").size > 0)
    }

    @Test func anAbsolutePathInsideARoot() throws {
        let path = folder.file("a/sub/two.vhdx")
        #expect(try files.open(path).name == path)
        #expect(try files.open(folder.file("b//four.vhdx")).size > 0)
    }

    @Test func anAbsolutePathOutside() {
        // It does not tell whether there is such a file.
        #expect(refusal(folder.file("secret/five.vhdx")) == .pathNotAllowed)
        #expect(refusal(folder.file("secret/nothing.vhdx")) == .pathNotAllowed)
        #expect(refusal(folder.file("nowhere")) == .pathNotAllowed)
        #expect(refusal("/etc/passwd") == .pathNotAllowed)
        #expect(refusal("/") == .pathNotAllowed)
        // A name that begins like a root is not inside it.
        #expect(refusal(folder.file("a2/one.vhdx")) == .pathNotAllowed)
        #expect(refusal(folder.file("b.vhdx")) == .pathNotAllowed)
    }

    @Test("A name with a .. part is refused whether or not it exists")
    func dots() {
        for name in [
            "a/../b/four.vhdx", "a/sub/../one.vhdx", "a/../secret/five.vhdx", "a/nothing/../one.vhdx", "..",
            "../a/one.vhdx",
            "a/..", "a/sub/two.vhdx/..", "nowhere/..", "a/../../../../etc/passwd", folder.file("a/../a/one.vhdx"),
            folder.file("a/sub/../nothing"), "/..", "/../etc/passwd",
        ] {
            #expect(refusal(name) == .pathNotAllowed, "\(name)")
        }
    }

    @Test func dotsInsideAPartAreOrdinary() throws {
        try Self.disk(Self.base).write(to: folder.file("a/..one..vhdx"))
        #expect(try files.open("a/..one..vhdx").size > 0)
        #expect(refusal("a/...") == .fileNotFound)
    }

    @Test func aRootThatIsNotThere() {
        let error = #expect(throws: ImageError.self) { try files.open("c/one.vhdx") }
        #expect(error?.code == .fileNotFound)
        #expect(error?.message.contains("a, b, inner") == true)
        #expect(error?.message.contains(folder.path) == false)
        for name in ["", "one.vhdx", "A/one.vhdx", ".", "./a/one.vhdx", "secret/five.vhdx", " a/one.vhdx"] {
            #expect(refusal(name) == .fileNotFound, "\"\(name)\"")
        }
    }

    @Test func aFileThatIsNotThere() {
        #expect(refusal("a/nothing.vhdx") == .fileNotFound)
        #expect(refusal("a/nothing/one.vhdx") == .fileNotFound)
        #expect(refusal("a/one.vhdx/more") == .fileNotFound)
        #expect(refusal("a/" + String(repeating: "x", count: 300)) == .fileNotFound)
        #expect(refusal("a/" + String(repeating: "x/", count: 3000)) == .fileNotFound)
        #expect(refusal(folder.file("a/nothing.vhdx")) == .fileNotFound)
    }

    @Test func aNULCharacter() {
        #expect(refusal("a/one.vhdx\0.raw") == .invalidParameter)
        #expect(refusal("a/one\0/../../x") != nil)
    }

    /// With a slash behind it the name has another extension, and what is in a raw disk would decide what it is.
    @Test func aFileIsNoFolder() throws {
        try Self.disk(Self.base).write(to: folder.file("a/disk.img"))
        for name in ["a/disk.img/", "a/disk.img//", "a/disk.img/.", "a/one.vhdx/", folder.file("a/disk.img/")] {
            #expect(refusal(name) == .fileNotFound, "\(name)")
        }
        #expect(refusal("a/sub/") == .notADisk)
        let child = try files.open("a/one.vhdx")
        for path in ["disk.img/", "./disk.img/.", folder.file("a/disk.img/")] {
            #expect(throws: ImageError.self) { try files.open(path, besides: child) }
        }
        #expect(try files.open("disk.img", besides: child).name == "a/disk.img")
    }

    // MARK: What is no file

    @Test func aFolder() {
        for name in ["a", "a/", "a/sub", "a/.", folder.file("a"), folder.file("a/sub")] {
            #expect(refusal(name) == .notADisk, "\(name)")
        }
    }

    @Test func aFIFODoesNotHang() {
        #expect(mkfifo(folder.file("a/pipe.vhdx"), 0o600) == 0)
        #expect(refusal("a/pipe.vhdx") == .notADisk)
    }

    @Test(.enabled(if: getuid() != 0, "the superuser may read every file"))
    func aFileThatMayNotBeRead() {
        #expect(chmod(folder.file("a/one.vhdx"), 0) == 0)
        #expect(refusal("a/one.vhdx") == .accessDenied)
    }

    // MARK: Symbolic links

    @Test func aLinkThatStaysInside() throws {
        try link("a/link.vhdx", to: "sub/two.vhdx")
        try link("a/sub/up.vhdx", to: "../one.vhdx")
        try link("a/folder", to: "sub")
        #expect(try files.open("a/link.vhdx").size > 0)
        #expect(try files.open("a/sub/up.vhdx").size > 0)
        #expect(try files.open("a/folder/two.vhdx").size > 0)
        #expect(try files.open(folder.file("a/folder/two.vhdx")).size > 0)
    }

    @Test func aLinkThatLeadsOutside() throws {
        let links: [(path: String, destination: String)] = [
            ("a/relative.vhdx", "../secret/five.vhdx"), ("a/absolute.vhdx", folder.file("secret/five.vhdx")),
            ("a/sub/far.vhdx", "../../secret/five.vhdx"), ("a/other-root.vhdx", "../b/four.vhdx"),
            ("a/missing.vhdx", "../secret/nothing.vhdx"), ("a/password.vhdx", "/etc/passwd"),
            ("a/back.vhdx", "../a/one.vhdx"),
        ]
        for (path, destination) in links {
            try link(path, to: destination)
            #expect(refusal(path) == .pathNotAllowed, "\(path)")
            #expect(refusal(folder.file(path)) == .pathNotAllowed, "\(path)")
        }
        try link("a/folder", to: "../secret")
        try link("a/absolute-folder", to: folder.file("secret"))
        try link("a/chain", to: "folder")
        for path in ["a/folder/five.vhdx", "a/absolute-folder/five.vhdx", "a/chain/five.vhdx", "a/folder/nothing.vhdx"]
        {
            #expect(refusal(path) == .pathNotAllowed, "\(path)")
        }
    }

    @Test func aLinkToItself() throws {
        try link("a/loop.vhdx", to: "loop.vhdx")
        #expect(refusal("a/loop.vhdx") == .pathNotAllowed)
    }

    // MARK: Parents

    /// A child at `path` whose parent's locator is `locator`.
    private func writeChild(_ path: String, parent locator: String) throws {
        var child = Self.disk(GUID(high: 0xC, low: 0xC))
        child.setParent(Self.base, path: locator)
        try child.write(to: folder.file(path))
    }

    private func chain(_ name: String) throws(ImageError) -> [String] {
        try DiskChain.open(name, in: files).layers.map(\.file.name)
    }

    private func chainRefusal(_ name: String) -> ImageError.Code? {
        #expect(throws: ImageError.self) { try chain(name) }?.code
    }

    @Test func aParentIsNamedInTheStyleThatWasAsked() throws {
        try writeChild("a/sub/child.avhdx", parent: "..\\one.vhdx")
        #expect(try chain("a/sub/child.avhdx") == ["a/sub/child.avhdx", "a/one.vhdx"])
        let absolute = folder.file("a/sub/child.avhdx")
        let parent = try #require(realpath(folder.file("a/one.vhdx"), nil))
        defer { free(parent) }
        #expect(try chain(absolute) == [absolute, String(cString: parent)])
    }

    @Test func aParentInAnotherRoot() throws {
        try writeChild("a/child.avhdx", parent: "..\\b\\four.vhdx")
        #expect(try chain("a/child.avhdx") == ["a/child.avhdx", "b/four.vhdx"])
        try writeChild("b/child.avhdx", parent: "..\\a\\inner\\three.vhdx")
        // The innermost root has it.
        #expect(try chain("b/child.avhdx") == ["b/child.avhdx", "inner/three.vhdx"])
    }

    @Test func aParentOutsideTheRoots() throws {
        try writeChild("a/child.avhdx", parent: "..\\secret\\five.vhdx")
        #expect(chainRefusal("a/child.avhdx") == .pathNotAllowed)
        try writeChild("a/child.avhdx", parent: "..\\secret\\nothing.vhdx")
        #expect(chainRefusal("a/child.avhdx") == .pathNotAllowed)
        try writeChild("a/child.avhdx", parent: "..\\..\\..\\..\\..\\..\\..\\..\\..\\etc\\passwd")
        #expect(chainRefusal("a/child.avhdx") == .pathNotAllowed)
    }

    /// A client who names disks by their roots does not learn where those are.
    @Test func whereTheRootsAreIsNotTold() throws {
        try writeChild("a/child.avhdx", parent: "..\\secret\\five.vhdx")
        let error = #expect(throws: ImageError.self) { try chain("a/child.avhdx") }
        #expect(error?.path == "../secret/five.vhdx")
    }

    /// Behind a link `..` is the folder above the one that it leads to, as for every other program.
    @Test func aParentAboveALink() throws {
        try FileManager.default.createDirectory(
            atPath: folder.file("a/sub/deep"),
            withIntermediateDirectories: true
        )
        try Self.disk(GUID(high: 0xD, low: 0xD)).write(to: folder.file("a/base.vhdx"))
        try Self.disk(Self.base).write(to: folder.file("a/sub/base.vhdx"))
        try link("a/link", to: "sub/deep")
        try writeChild("a/child.avhdx", parent: "link\\..\\base.vhdx")
        #expect(try chain("a/child.avhdx").count == 2)
        try writeChild("a/link/child.avhdx", parent: "..\\base.vhdx")
        #expect(try chain("a/link/child.avhdx").count == 2)
        // A folder that is not there has none above it.
        try writeChild("a/child.avhdx", parent: "nothing\\..\\sub\\base.vhdx")
        #expect(chainRefusal("a/child.avhdx") == .parentNotFound)
        try link("a/far", to: "../secret")
        try writeChild("a/child.avhdx", parent: "far\\..\\a\\sub\\base.vhdx")
        #expect(chainRefusal("a/child.avhdx") == .pathNotAllowed)
    }

    @Test func aParentBehindALinkThatLeadsOutside() throws {
        try link("a/parent.vhdx", to: "../secret/five.vhdx")
        try writeChild("a/child.avhdx", parent: "parent.vhdx")
        #expect(chainRefusal("a/child.avhdx") == .pathNotAllowed)
    }

    @Test func aParentInsideARootIsFoundThoughAnotherPlaceIsOutside() throws {
        var child = Self.disk(GUID(high: 0xC, low: 0xC))
        child.parameterFlags |= 2
        child.locator = [
            ("parent_linkage", Self.base.description), ("relative_path", "..\\secret\\five.vhdx"),
            ("absolute_win32_path", "C:\\vms\\one.vhdx"),
        ]
        try child.write(to: folder.file("a/child.avhdx"))
        #expect(try chain("a/child.avhdx") == ["a/child.avhdx", "a/one.vhdx"])
    }

    @Test func aParentOfTheInnerRootInTheOuter() throws {
        try writeChild("a/inner/child.avhdx", parent: "..\\one.vhdx")
        #expect(try chain("inner/child.avhdx") == ["inner/child.avhdx", "a/one.vhdx"])
        #expect(try chain("a/inner/child.avhdx") == ["a/inner/child.avhdx", "a/one.vhdx"])
        // Where only the inner folder is a root, the parent is outside.
        let inner = try RootedFiles([Root(name: "inner", directory: folder.file("a/inner"))])
        let error = #expect(throws: ImageError.self) { try DiskChain.open("inner/child.avhdx", in: inner) }
        #expect(error?.code == .pathNotAllowed)
    }

    @Test func aRootThatIsReachedThroughALink() throws {
        try link("alias", to: "a")
        let files = try RootedFiles([Root(name: "r", directory: folder.file("alias"))])
        for name in ["r/one.vhdx", folder.file("alias/one.vhdx"), folder.file("a/one.vhdx")] {
            #expect(try files.open(name).name == name)
        }
        #expect(throws: ImageError.self) { try files.open(folder.file("b/four.vhdx")) }
    }
}

import DiskDeltaProtocol
import DiskImages
import Foundation
import TestSupport
import Testing

@testable import DiskDeltaService

/// A root that somebody may not use is not there for him, nor is anything in it.
@Suite("The roots that somebody may use", .timeLimit(.minutes(1)))
struct RestrictedRootsTests {
    private let folder: TemporaryFolder
    private let files: RootedFiles

    /// `a` and `b` are roots, and `inner` is a root inside `a`.
    init() throws {
        folder = try TemporaryFolder()
        for path in ["a/inner", "b"] {
            try FileManager.default.createDirectory(atPath: folder.file(path), withIntermediateDirectories: true)
        }
        for path in ["a/one.vhdx", "a/inner/two.vhdx", "b/three.vhdx"] { try Self.disk().write(to: folder.file(path)) }
        files = try RootedFiles([
            Root(name: "a", directory: folder.file("a")), Root(name: "b", directory: folder.file("b")),
            Root(name: "inner", directory: folder.file("a/inner")),
        ])
    }

    private static let identifier = GUID(high: 0x5555_5555_5555_4555, low: 0x8555_5555_5555_5555)

    private static func disk() -> VHDXBuilder {
        var builder = VHDXBuilder(virtualSize: 1 << 20, blockSize: 1 << 20)
        builder.dataWriteGUID = identifier
        return builder
    }

    private func writeChild(_ path: String, parent: String) throws {
        var child = Self.disk()
        child.dataWriteGUID = GUID(high: 0xC, low: 0xC)
        child.setParent(Self.identifier, path: parent)
        try child.write(to: folder.file(path))
    }

    /// What is told of a name: nil where it opens.
    private func refusal(_ name: String, _ roots: Set<String>) -> ImageError? {
        do throws(ImageError) {
            _ = try files.restricted(to: .only(roots)).open(name)
            return nil
        } catch {
            return error
        }
    }

    @Test("What may be used opens as ever, by each name")
    func allowed() {
        for name in ["a/one.vhdx", folder.file("a/one.vhdx"), "inner/two.vhdx", "a/inner/two.vhdx"] {
            #expect(refusal(name, ["a", "inner"]) == nil)
        }
        #expect(throws: Never.self) { try files.restricted(to: .all).open("b/three.vhdx") }
    }

    @Test("A root that may not be used answers as one that does not exist")
    func forbidden() throws {
        let without = try RootedFiles([Root(name: "b", directory: folder.file("b"))])
        let restricted = files.restricted(to: .only(["b"]))
        let names = [
            "a/one.vhdx", "a/nothing.vhdx", "a", "a/", folder.file("a/one.vhdx"), folder.file("a/nothing.vhdx"),
            folder.file("a/inner/two.vhdx"), "inner/two.vhdx",
        ]
        for name in names {
            let expected = #expect(throws: ImageError.self) { try without.open(name) }
            let error = #expect(throws: ImageError.self) { try restricted.open(name) }
            #expect(error?.description == expected?.description)
            #expect(error?.code == expected?.code)
        }
        #expect(refusal("b/three.vhdx", [])?.description.contains("There is no root to ask about") == true)
    }

    @Test("Who may use the outer of two roots does not come into the inner one")
    func inner() throws {
        try FileManager.default.createSymbolicLink(
            atPath: folder.file("a/link"),
            withDestinationPath: "inner"
        )
        for there in ["a/inner/two.vhdx", "a/./inner//two.vhdx", "a/link/two.vhdx", "a/inner"] {
            let error = try #require(refusal(there, ["a"]), "\(there)")
            #expect(error.code == .fileNotFound)
            // The same text as where nothing is there.
            #expect(error.message == refusal("a/inner/nothing.vhdx", ["a"])?.message)
            #expect(refusal(there + "x", ["a"])?.code == .fileNotFound)
        }
        #expect(refusal(folder.file("a/inner/two.vhdx"), ["a"])?.code == .pathNotAllowed)
        #expect(refusal(folder.file("a/inner/nothing.vhdx"), ["a"])?.code == .pathNotAllowed)
        #expect(refusal(folder.file("a/link/two.vhdx"), ["a"])?.code == .fileNotFound)
        #expect(refusal("a/one.vhdx", ["a"]) == nil)
        #expect(refusal("inner/two.vhdx", ["inner"]) == nil)
        #expect(refusal(folder.file("a/inner/two.vhdx"), ["inner"]) == nil)
    }

    @Test("Of two names for one folder, the one that may be used counts")
    func sameFolder() throws {
        for names in [["x", "y"], ["y", "x"]] {
            let files = try RootedFiles(names.map { try Root(name: $0, directory: folder.file("b")) })
            let restricted = files.restricted(to: .only(["x"]))
            for name in ["x/three.vhdx", folder.file("b/three.vhdx")] { #expect(try restricted.open(name).size > 0) }
            #expect(throws: ImageError.self) { try restricted.open("y/three.vhdx") }
        }
    }

    @Test("A root that was renamed is still the root it was")
    func renamed() throws {
        try FileManager.default.moveItem(atPath: folder.file("a"), toPath: folder.file("c"))
        #expect(refusal("a/one.vhdx", ["a"]) == nil)
        try FileManager.default.createSymbolicLink(atPath: folder.file("c/link"), withDestinationPath: "inner/two.vhdx")
        #expect(refusal("a/link", ["a"])?.code == .fileNotFound)
    }

    @Test("Each layer of a chain must be in a root that may be used, and what is not there is not told apart")
    func chains() throws {
        func answer(_ name: String, _ roots: Set<String>) -> String {
            do throws(ImageError) {
                let chain = try DiskChain.open(name, in: files.restricted(to: .only(roots)))
                return chain.layers.map(\.file.name).joined(separator: " ")
            } catch {
                return "\(CallError(error).reason.name): \(error.message)"
            }
        }
        try writeChild("a/child.avhdx", parent: "..\\b\\three.vhdx")
        #expect(answer("a/child.avhdx", ["a", "b"]) == "a/child.avhdx b/three.vhdx")
        let there = answer("a/child.avhdx", ["a"])
        #expect(there.hasPrefix("PATH_NOT_ALLOWED"))
        try writeChild("a/child.avhdx", parent: "..\\b\\missing.vhdx")
        let missing = answer("a/child.avhdx", ["a"])
        #expect(missing.replacing("missing", with: "three") == there)
        #expect(answer("a/child.avhdx", ["a", "b"]).hasPrefix("PARENT_NOT_FOUND"))
        // From outside in and from inside out.
        try writeChild("a/inner/child.avhdx", parent: "..\\one.vhdx")
        #expect(answer("inner/child.avhdx", ["inner"]).hasPrefix("PATH_NOT_ALLOWED"))
        #expect(answer("inner/child.avhdx", ["inner", "a"]) == "inner/child.avhdx a/one.vhdx")
        try writeChild("a/outer.avhdx", parent: "inner\\two.vhdx")
        #expect(answer("a/outer.avhdx", ["a"]).hasPrefix("PATH_NOT_ALLOWED"))
    }
}

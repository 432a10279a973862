import Foundation
import TestSupport
import Testing

@testable import DiskDeltaService

@Suite("Roots")
struct RootTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    @Test func anArgument() throws {
        try FileManager.default.createDirectory(atPath: folder.file("a=b"), withIntermediateDirectories: true)
        let root = try Root(argument: "vms=" + folder.file("a=b"))
        #expect(root.name == "vms")
        #expect(root.directory.hasSuffix("/a=b"))
        #expect(root.directory.hasPrefix("/"))
    }

    @Test(
        "An argument that names no root",
        arguments: ["", "vms", "=/", "a/b=/", ".=/", "..=/", "vms=", "vms=/no/such/folder"]
    )
    func badArgument(argument: String) {
        let error = #expect(throws: RootError.self) { try Root(argument: argument) }
        #expect(error?.message.isEmpty == false)
        #expect(error?.message.contains("\n") == false)
    }

    @Test func aFileIsNoRoot() throws {
        try Data().write(to: URL(fileURLWithPath: folder.file("file")))
        #expect(throws: RootError.self) { try Root(name: "r", directory: folder.file("file")) }
    }

    @Test func twoRootsOfOneNameAreRefused() throws {
        let root = try Root(name: "r", directory: folder.path)
        #expect(throws: RootError.self) { try RootedFiles([root, root]) }
    }
}

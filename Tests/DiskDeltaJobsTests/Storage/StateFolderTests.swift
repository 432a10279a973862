import Foundation
import TestSupport
import Testing

@testable import DiskDeltaJobs

@Suite("The state folder")
struct StateFolderTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    @Test("It is made for its user alone")
    func making() throws {
        let state = try StateFolder(folder.file("state"))
        for path in [state.path, state.spools] {
            let attributes = try FileManager.default.attributesOfItem(atPath: path)
            #expect(attributes[.posixPermissions] as? Int == 0o700, "\(path)")
        }
    }

    @Test("One server at a time")
    func locking() throws {
        let path = folder.file("state")
        var first: StateFolder? = try StateFolder(path)
        let error = #expect(throws: StateError.self) { try StateFolder(path) }
        #expect(error?.message == "The state folder \(path) is in use by another server")
        #expect(first?.path == path)
        first = nil
        _ = try StateFolder(path)
    }

    @Test("What is no folder, or cannot be one, is said")
    func refusals() throws {
        try Data().write(to: URL(fileURLWithPath: folder.file("file")))
        for name in ["", "\0", folder.file("file"), folder.file("none/state"), folder.file("file/state")] {
            let error = #expect(throws: StateError.self, "\(name)") { try StateFolder(name) }
            #expect(error?.message.contains("\n") == false)
        }
    }

    @Test("Jobs that are no jobs are said")
    func noDatabase() throws {
        try Data("this is no database, and long enough to be looked at".utf8)
            .write(to: URL(fileURLWithPath: folder.file("jobs.sqlite")))
        let error = #expect(throws: StateError.self) { try JobStore(folder.file("jobs.sqlite")) }
        #expect(error?.message.contains("cannot be read") == true)
    }
}

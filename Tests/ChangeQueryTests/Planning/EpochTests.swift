import DiskImages
import Foundation
import TestSupport
import Testing

@testable import ChangeQuery

@Suite("Epochs of real files")
struct EpochTests {
    private let folder: TemporaryFolder
    private let builder: VHDXBuilder

    init() throws {
        folder = try TemporaryFolder()
        var builder = VHDXBuilder(virtualSize: 8 << 20, blockSize: 1 << 20)
        builder.blocks[1] = VHDXBuilder.Block(state: 6)
        self.builder = builder
        try write(builder)
    }

    private var path: String { folder.file("disk.vhdx") }

    /// Writes the file in place, and gives it the time of the first one: only its content tells them apart.
    private func write(_ builder: VHDXBuilder, time: TimeInterval = 1_000_000) throws {
        try builder.write(to: path)
        try setTime(time)
    }

    private func setTime(_ time: TimeInterval) throws {
        try FileManager.default.setAttributes(
            [.modificationDate: Date(timeIntervalSince1970: time)],
            ofItemAtPath: path
        )
    }

    private func epoch() throws -> Epoch {
        Epoch(of: try DiskChain.open(path, in: LocalFiles()))
    }

    @Test func anUnchangedDiskKeepsIt() throws {
        let first = try epoch()
        #expect(try epoch() == first)
        let digits = first.description
        #expect(digits.count == 32 && digits.allSatisfy { "0123456789abcdef".contains($0) })
    }

    @Test("A write whose author takes the file's time back does not hide")
    func aWriteThatHides() throws {
        let first = try epoch()
        try write(builder)
        #expect(try epoch() != first)
    }

    @Test func theHeaderIsPartOfIt() throws {
        let first = try epoch()
        var changed: [VHDXBuilder] = [builder, builder, builder]
        changed[0].dataWriteGUID = GUID(high: 9, low: 9)
        changed[1].fileWriteGUID = GUID(high: 9, low: 9)
        changed[2].sequenceNumbers = [9, 10]
        var epochs: Set = [first]
        for builder in changed {
            try write(builder)
            epochs.insert(try epoch())
        }
        #expect(epochs.count == 4)
    }

    @Test func theFilesTimeIsPartOfIt() throws {
        let first = try epoch()
        try setTime(1_000_001)
        #expect(try epoch() != first)
    }

    @Test func theFilesSizeIsPartOfIt() throws {
        let first = try epoch()
        let file = try RawFile(path)
        try file.truncate(to: file.size + (1 << 20))
        try setTime(1_000_000)
        #expect(try epoch() != first)
    }

    @Test func aCopyIsAnotherDisk() throws {
        let first = try epoch()
        try FileManager.default.copyItem(atPath: path, toPath: folder.file("copy.vhdx"))
        try FileManager.default.removeItem(atPath: path)
        try FileManager.default.moveItem(atPath: folder.file("copy.vhdx"), toPath: path)
        try setTime(1_000_000)
        #expect(try epoch() != first)
    }

    @Test func aParentIsPartOfIt() throws {
        var child = VHDXBuilder(virtualSize: 8 << 20, blockSize: 1 << 20)
        child.dataWriteGUID = GUID(high: 4, low: 4)
        child.setParent(builder.dataWriteGUID, path: "disk.vhdx")
        try child.write(to: folder.file("child.avhdx"))
        func epoch() throws -> Epoch {
            Epoch(of: try DiskChain.open(folder.file("child.avhdx"), in: LocalFiles()))
        }
        let first = try epoch()
        #expect(try epoch() == first)
        try setTime(1_000_001)
        #expect(try epoch() != first)
    }

    // MARK: A file that changes while it is read

    /// A chain of two, a cursor over it that has given its first batch, and what comes after `change`.
    private func continuation(after change: (_ leaf: String, _ base: String) throws -> Void) throws -> QueryError? {
        var child = VHDXBuilder(virtualSize: 8 << 20, blockSize: 1 << 20)
        child.dataWriteGUID = GUID(high: 4, low: 4)
        child.setParent(builder.dataWriteGUID, path: "disk.vhdx")
        for block in stride(from: 0, to: 8, by: 2) { child.blocks[block] = VHDXBuilder.Block(state: 6) }
        let leaf = folder.file("child.avhdx")
        try child.write(to: leaf)
        let layers = try DiskChain.open(leaf, in: LocalFiles()).layers
        let plan = try Plan(
            Question(.changes(since: builder.dataWriteGUID.description, target: nil)),
            about: layers
        )
        let cursor = RangeCursor(plan, limits: BatchLimits(size: 1, count: 1, stripes: 1))
        #expect(try cursor.next() != nil)
        try change(leaf, path)
        do throws(QueryError) {
            while try cursor.next() != nil {}
            return nil
        } catch {
            return error
        }
    }

    @Test func theWalkGoesOnWhereNothingChanges() throws {
        #expect(try continuation { _, _ in } == nil)
    }

    @Test func aLayerThatChangesEndsTheWalk() throws {
        let error = try continuation { leaf, _ in
            try FileManager.default.setAttributes(
                [.modificationDate: Date(timeIntervalSince1970: 5)],
                ofItemAtPath: leaf
            )
        }
        #expect(error?.code == .epochChanged)
        #expect(error?.message.contains("child.avhdx") == true)
    }

    @Test func aBaselineThatGrowsEndsTheWalk() throws {
        let error = try continuation { _, base in
            let file = try RawFile(base)
            try file.truncate(to: file.size + 4096)
        }
        #expect(error?.code == .epochChanged)
        #expect(error?.message.contains("disk.vhdx") == true)
    }
}

import TestSupport
import Testing

@testable import DiskImages

/// A repair that is stopped at any moment can be done again, and nobody sees a difference meanwhile.
@Suite("VHDX repair")
struct VHDXRepairTests {
    let folder: TemporaryFolder
    var path: String { folder.file("disk.vhdx") }
    var replayed: String { folder.file("replayed.vhdx") }

    init() throws { folder = try TemporaryFolder() }

    /// What must be the same in the end, whatever came between: all but the identity of the write and its number.
    private func content(_ path: String) throws -> [UInt8] {
        let file = try RawFile(path)
        return try file.read(at: 192 << 10, count: Int(file.size) - 192 << 10)
    }

    @Test(arguments: [UInt64](1...8)) func everyCrashLeavesWhatWasThere(seed: UInt64) throws {
        var random = RepeatableGenerator(seed: seed)
        let after = folder.file("after.vhdx")
        let made = try RandomDirtyImage(seed: seed, path: path, after: after, isForQEMU: false)
        try VHDXBytes.copy(path, to: replayed)
        let storage = try RecordingStorage(path)
        let structure = try VHDXImage(storage.file()).structure
        #expect(try VHDXRepair.replay(structure, into: storage, path: path))
        let end = try content(path)

        var replay = try CrashReplay(path: replayed, operations: storage.operations)
        let again = folder.file("again.vhdx")
        var count = 0
        func check(_ state: String) throws {
            let crashed = try VHDXImage(LocalFiles().open(replayed))
            #expect(try LayerWalk.codes(of: crashed).isSame(as: made.codes), "seed \(seed), \(state)")
            #expect(crashed.description.identifier == made.identifier)
            // The whole repair once more: every third state, for each is a file of its own.
            count += 1
            guard count % 3 == 0 || !crashed.hasDirtyLog else { return }
            try VHDXBytes.copy(replayed, to: again)
            #expect(try VHDXRepair.replay(again, isDurable: false) == crashed.hasDirtyLog, "seed \(seed), \(state)")
            #expect(try content(again).isSame(as: end), "seed \(seed), \(state)")
        }
        for index in storage.operations.indices {
            try replay.forEachTornState(of: index, sectorSize: 512) { try check("operation \(index) torn") }
            try replay.forEachReordering(upTo: index, count: 1, sectorSize: 512, random: &random) {
                try check("operations up to \(index) in another order")
            }
            try replay.apply(index)
            try check("after operation \(index)")
        }
        #expect(try content(replayed).isSame(as: end))
    }

    @Test func aWriteThatFailsSpoilsNothing() throws {
        let after = folder.file("after.vhdx")
        let made = try RandomDirtyImage(seed: 3, path: path, after: after, isForQEMU: false)
        var count = 0
        while true {
            try VHDXBytes.copy(path, to: replayed)
            var isDone = false
            do {
                let storage = try RecordingStorage(replayed)
                let structure = try VHDXImage(storage.file()).structure
                storage.remaining = count
                do throws(ImageError) {
                    isDone = try VHDXRepair.replay(structure, into: storage, path: replayed)
                } catch {
                    #expect(error.code == .writeFailed)
                }
            }
            let image = try VHDXImage(LocalFiles().open(replayed))
            #expect(try LayerWalk.codes(of: image).isSame(as: made.codes), "after \(count) operations")
            if isDone { break }
            count += 1
        }
        // Four headers with their synchronisations, and what the log has.
        #expect(count > 9)
    }

    @Test func theFileIsLockedMeanwhile() throws {
        _ = try RandomDirtyImage(seed: 1, path: path, after: folder.file("after.vhdx"), isForQEMU: false)
        let lock = try FileStorage.open(path, isDurable: false)
        do throws(ImageError) {
            try VHDXRepair.replay(path)
            Issue.record("a file that is locked is repaired")
        } catch {
            #expect(error.code == .inUse)
        }
        #expect(try VHDXImage(lock.file()).hasDirtyLog)
    }

    @Test func bothHeadersSayThatTheLogIsEmpty() throws {
        _ = try RandomDirtyImage(seed: 2, path: path, after: folder.file("after.vhdx"), isForQEMU: false)
        let file = try RawFile(path)
        let before = try file.read(at: 128 << 10, count: 4_096)
        #expect(try VHDXRepair.replay(path))
        var numbers: [UInt64] = []
        for offset: UInt64 in [64 << 10, 128 << 10] {
            let header = try file.read(at: offset, count: 4_096)
            #expect(header == VHDXBuilder.checksummed(header, length: 4_096))
            // Another FileWriteGuid, the same DataWriteGuid, no LogGuid.
            #expect(header[16..<32] != before[16..<32])
            #expect(header[32..<48] == before[32..<48])
            #expect(header[48..<64].allSatisfy { $0 == 0 })
            #expect(header[64..<80] == before[64..<80])
            numbers.append(try file.number(UInt64.self, at: offset + 8))
        }
        #expect(numbers.sorted() == [11, 12])
    }

    @Test func whatIsNoVHDXFileIsNotRepaired() throws {
        let text = folder.file("text.vhdx")
        try RawFile(text, create: true).write(Array("something else".utf8), at: 0)
        #expect(throws: ImageError.self) { try VHDXRepair.replay(text) }
        #expect(throws: ImageError.self) { try VHDXRepair.replay(folder.file("nothing.vhdx")) }
    }
}

import TestSupport
import Testing

@testable import DiskImages

/// Dirty logs made at random, read, repaired, and compared with a model and with QEMU.
@Suite("Random logs")
struct RandomLogTests {
    let folder: TemporaryFolder
    var path: String { folder.file("disk.vhdx") }
    var after: String { folder.file("after.vhdx") }

    init() throws { folder = try TemporaryFolder() }

    /// Whether the file `path` is as `after` from the region tables on, but for the log.
    private func expectRepaired(_ path: String, seed: UInt64) throws {
        let file = try RawFile(path)
        let expected = try RawFile(after)
        #expect(file.size == expected.size, "seed \(seed)")
        var start: UInt64 = 192 << 10
        while start < expected.size {
            let count = start < 1 << 20 ? (1 << 20) - start : 1 << 20
            let isSame = try file.read(at: start, count: Int(count))
                .isSame(as: expected.read(at: start, count: Int(count)))
            #expect(isSame || start == 1 << 20, "seed \(seed): the bytes from \(start)")
            start += count
        }
    }

    @Test(arguments: 0..<20) func theAnswerIsThatAfterAReplay(group: UInt64) throws {
        for seed in group * 12..<(group + 1) * 12 {
            let made = try RandomDirtyImage(seed: seed, path: path, after: after, isForQEMU: false)
            let before = try RawFile(path).read(at: 0, count: 4 << 20)
            let size = try RawFile(path).size
            let image = try VHDXImage(LocalFiles().open(path))
            #expect(image.hasDirtyLog)
            #expect(try LayerWalk.codes(of: image).isSame(as: made.codes), "seed \(seed)")
            #expect(image.description.physicalSectorSize == made.physicalSectorSize, "seed \(seed)")
            #expect(image.description.identifier == made.identifier)
            #expect(image.structure.file.size == made.size, "seed \(seed)")
            #expect(try VHDXBlockCheck(image).findings(limit: 10).problems.isEmpty, "seed \(seed)")
            #expect(try RawFile(path).read(at: 0, count: 4 << 20).isSame(as: before) && RawFile(path).size == size)

            #expect(try VHDXRepair.replay(path, isDurable: false))
            try expectRepaired(path, seed: seed)
            let repaired = try VHDXImage(LocalFiles().open(path))
            #expect(!repaired.hasDirtyLog)
            #expect(try LayerWalk.codes(of: repaired).isSame(as: made.codes), "seed \(seed)")
            #expect(repaired.description.identifier == made.identifier)
            #expect(repaired.description.revision != image.description.revision)
            #expect(try VHDXRepair.replay(path, isDurable: false) == false)
        }
    }

    @Test(
        .enabled(if: Oracles.qemuImage != nil, "qemu-img is not installed: nothing to compare replays with"),
        arguments: 0..<20
    )
    func qemuReplaysTheSame(group: UInt64) throws {
        let program = try #require(Oracles.qemuImage)
        for seed in group * 8 + 1_000..<(group + 1) * 8 + 1_000 {
            let made = try RandomDirtyImage(seed: seed, path: path, after: after, isForQEMU: true)
            let copy = folder.file("copy.vhdx")
            try VHDXBytes.copy(path, to: copy)
            #expect(try LayerWalk.codes(of: VHDXImage(LocalFiles().open(path))).isSame(as: made.codes), "seed \(seed)")
            let result = try Oracles.run(program, ["check", "-f", "vhdx", "-r", "all", copy])
            #expect(result.status == 0, "seed \(seed): \(result.text)")
            #expect(result.text.contains("repaired"), "seed \(seed): \(result.text)")
            try expectRepaired(copy, seed: seed)
            let image = try VHDXImage(LocalFiles().open(copy))
            #expect(!image.hasDirtyLog)
            #expect(try LayerWalk.codes(of: image).isSame(as: made.codes), "seed \(seed)")
            #expect(try VHDXRepair.replay(path, isDurable: false))
            try expectRepaired(path, seed: seed)
            let check = try Oracles.run(program, ["check", "-f", "vhdx", path])
            #expect(check.status == 0, "seed \(seed): \(check.text)")
        }
    }
}

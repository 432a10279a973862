import TestSupport
import Testing

@testable import DiskImages

@Suite("Checks")
struct ChainCheckTests {
    let folder: TemporaryFolder
    let path: String

    init() throws {
        folder = try TemporaryFolder()
        path = folder.file("child.avhdx")
    }

    private let identifier = GUID(high: 0xAA, low: 0xBB)

    private func child() -> VHDXBuilder {
        var builder = VHDXBuilder(virtualSize: 8 << 20, blockSize: 1 << 20)
        builder.setParent(identifier, path: "parent.vhdx")
        return builder
    }

    private func writeParent(_ change: (inout VHDXBuilder) -> Void = { _ in }) throws {
        var builder = VHDXBuilder(virtualSize: 8 << 20, blockSize: 1 << 20)
        builder.dataWriteGUID = identifier
        change(&builder)
        try builder.write(to: folder.file("parent.vhdx"))
    }

    private func problems() throws -> [ImageError] { try DiskChain.check(path, in: LocalFiles()).problems }

    @Test func aGoodChainHasNone() throws {
        try writeParent {
            $0.blocks = [1: .init(state: 6), 2: .init(state: 2), 3: .init(state: 1), 4: .init(state: 3)]
        }
        var child = child()
        child.blocks = [0: .init(state: 7, sectors: [1]), 1: .init(state: 6), 7: .init(state: 7, sectors: [9])]
        try child.write(to: path)
        #expect(try problems().isEmpty)
    }

    @Test func everyKindOfDamageIsTold() throws {
        try writeParent { $0.blocks = [0: .init(state: 6), 1: .init(state: 7, offset: 5 << 20)] }
        var child = child()
        child.blocks = [
            0: .init(state: 6), 1: .init(state: 6, offset: 4 << 20), 2: .init(state: 5),
            3: .init(state: 6, offset: 1 << 40),
            4: .init(state: 7, offset: 2 << 20), 5: .init(state: 6, offset: 0), 6: .init(state: 2),
        ]
        try child.write(to: path)
        try RawFile(path).write(number: UInt64(0), at: child.placeOfEntry(bitmap: 0))
        let problems = try problems()
        let places = problems.map { $0.path == path ? Int(($0.offset ?? 0) - (3 << 20)) / 8 : -1 }
        // The blocks 1 to 5, the sector bitmap, whose entry follows those of 4,096 blocks, and in the parent block 1 and the
        // bitmap that the builder made for it.
        #expect(places.prefix(6) == [1, 2, 3, 4, 5, 8_192 / 2])
        #expect(places.dropFirst(6).allSatisfy { $0 == -1 } && problems.count > 6)
        #expect(problems.allSatisfy { $0.code == .corrupt && $0.offset != nil })
        #expect(problems[5].detailCode == 0xC03A_000C)
    }

    @Test func whatIsWrongWithTheChainIsAProblem() throws {
        try child().write(to: path)
        #expect(try problems().map(\.code) == [.parentNotFound])
        try writeParent { $0.dataWriteGUID = GUID(high: 1, low: 2) }
        #expect(try problems().map(\.code) == [.parentMismatch])
        try writeParent { $0.logicalSectorSize = 4_096 }
        #expect(try problems().map(\.code) == [.corrupt])
        // The layers that can be opened are looked at all the same.
        var broken = child()
        broken.blocks = [0: .init(state: 4)]
        try broken.write(to: path)
        #expect(try problems().map(\.code) == [.corrupt, .corrupt])
    }

    @Test func aFileThatIsNoDiskIsAProblemAndAMissingOneAnError() throws {
        #expect(throws: ImageError.self) { try problems() }
        try RawFile(path, create: true).write(Array("text".utf8), at: 0)
        #expect(try problems().map(\.code) == [.notADisk])
        try child().write(to: path)
        try RawFile(path).truncate(to: 300_000)
        #expect(try problems().map(\.code) == [.corrupt])
    }

    /// A file can claim any length without having it: what a check keeps in memory has a limit.
    @Test func aFileOfAbsurdLengthIsNotChecked() throws {
        try VHDXBuilder(virtualSize: 1 << 20, blockSize: 1 << 20).write(to: path)
        let file = try RawFile(path)
        guard (try? file.truncate(to: 1 << 49)) != nil else { return }
        #expect(throws: ImageError.self) { try problems() }
    }

    private func report() throws -> ImageCheckReport { try DiskChain.check(path, in: LocalFiles()) }

    /// Space that nothing refers to is told and is no problem; space that a block keeps for later is not lost.
    @Test func lostSpaceIsCounted() throws {
        try writeParent { $0.blocks = [0: .init(state: 6), 3: .init(state: 6)] }
        var child = child()
        child.blocks = [0: .init(state: 7, sectors: [1]), 1: .init(state: 6), 7: .init(state: 6)]
        try child.write(to: path)
        #expect(try report().leakedBytes == 0)
        let file = try RawFile(path)
        let size = file.size
        // The place of block 1, then also the rest of the file's last mebibyte, which is not a whole one.
        let place = child.placeOfEntry(block: 1)
        let entry = try file.number(UInt64.self, at: place)
        try file.write(number: UInt64(2), at: place)
        #expect(try report().leakedBytes == 1 << 20)
        try file.truncate(to: size + 12_345)
        #expect(try report().leakedBytes == 1 << 20 + 12_345)
        try file.truncate(to: size + 3 << 20)
        #expect(try report().leakedBytes == 4 << 20)
        try file.truncate(to: size)
        for state: UInt64 in [1, 2, 3] {
            try file.write(number: entry & ~7 | state, at: place)
            #expect(try report().leakedBytes == 0)
        }
        // In a block that is not present the place has no meaning, and what it says may be anything.
        for word: UInt64 in [entry & ~7, 1 << 50, 1 << 50 | 2, 1, 3] {
            try file.write(number: word, at: place)
            #expect(try report().leakedBytes == 1 << 20)
        }
        // The parent's own counts as well.
        let parent = try RawFile(folder.file("parent.vhdx"))
        try parent.truncate(to: parent.size + 5 << 20)
        let report = try report()
        #expect(report.leakedBytes == 6 << 20)
        #expect(report.isSound && !report.hasDirtyLog)
    }

    /// The disk may end inside its last block, whose rest is in the file all the same; and a block may be given up whose
    /// place another block has by now.
    @Test func theRestOfTheLastBlockIsNotLost() throws {
        var builder = VHDXBuilder(virtualSize: 5 << 20, blockSize: 4 << 20)
        builder.blocks = [0: .init(state: 6), 1: .init(state: 6)]
        try builder.write(to: path)
        #expect(try report().leakedBytes == 0)
        builder.blocks = [0: .init(state: 3, offset: 4 << 20), 1: .init(state: 6, offset: 4 << 20)]
        try builder.write(to: path)
        try RawFile(path).truncate(to: 8 << 20)
        let report = try report()
        #expect(report.isSound && report.leakedBytes == 0)
    }

    @Test func aBlockOverTheMetadataOrTheLogIsAProblem() throws {
        for offset: UInt64 in [0, 1 << 20, 2 << 20, 3 << 20] {
            var builder = VHDXBuilder(virtualSize: 4 << 20, blockSize: 1 << 20)
            builder.blocks = [1: .init(state: 6), 2: .init(state: 6, offset: offset)]
            try builder.write(to: path)
            let problems = try problems()
            #expect(problems.map(\.offset) == [builder.placeOfEntry(block: 2)])
            #expect(problems.map(\.detailCode) == [0xC03A_000A])
        }
    }
}

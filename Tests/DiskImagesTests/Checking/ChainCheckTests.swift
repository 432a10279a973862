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

    private func problems() throws -> [ImageError] { try DiskChain.problems(of: path, in: LocalFiles()) }

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
}

import DiskImages
import Foundation
import TestSupport
import Testing

@testable import DiskDeltaService

@Suite("Chains that stay open")
struct ChainCacheTests {
    private let folder: TemporaryFolder
    private let cache = ChainCache()

    init() throws {
        folder = try TemporaryFolder()
        try disk(1).write(to: folder.file("base.vhdx"))
        var child = disk(2)
        child.setParent(disk(1).dataWriteGUID, path: "base.vhdx")
        try child.write(to: folder.file("child.avhdx"))
    }

    private func disk(_ id: UInt64) -> VHDXBuilder {
        var disk = VHDXBuilder(virtualSize: 8 << 20, blockSize: 1 << 20)
        disk.dataWriteGUID = GUID(high: id, low: id)
        return disk
    }

    private func open(_ name: String = "child.avhdx", _ roots: RootSelection = .all) throws -> OpenDisk {
        try cache.open(folder.file(name), roots, in: LocalFiles())
    }

    /// Which chain is opened; it is given back at once.
    private func identity(_ roots: RootSelection = .all) throws -> ObjectIdentifier {
        ObjectIdentifier(try open("child.avhdx", roots).chain)
    }

    @Test func aChainThatWasGivenBackIsUsedAgain() throws {
        let disk = try open()
        let first = ObjectIdentifier(disk.chain)
        // As long as one has it, nobody else gets it.
        #expect(try identity() != first)
        withExtendedLifetime(disk) {}
        let held = try open()
        let other = try open()
        #expect(held.chain !== other.chain)
    }

    @Test("Names that look alike and have other bytes are names of other disks")
    func namesThatLookAlike() throws {
        let names = ["caf\u{E9}.vhdx", "cafe\u{301}.vhdx"]
        for (index, name) in names.enumerated() { try disk(UInt64(5 + index)).write(to: folder.file(name)) }
        for (index, name) in (names + names).enumerated() {
            let layers = try open(name).chain.layers
            #expect(layers.first?.description.identifier == disk(UInt64(5 + index % 2)).dataWriteGUID)
        }
    }

    @Test func whoSeesOtherRootsHasOtherChains() throws {
        let kept = try open()
        let chain = kept.chain
        _ = consume kept
        #expect(try open("child.avhdx", .only(["a"])).chain !== chain)
    }

    @Test func whoSaysAnotherFormatHasAnotherChain() throws {
        try RawFile(folder.file("disk"), create: true).write(Array("vhdxfile".utf8), at: 0)
        let raw = try cache.open(folder.file("disk"), .all, saidFormat: .raw, in: LocalFiles())
        #expect(raw.chain.format == .raw)
        _ = consume raw
        #expect(throws: ImageError.self) { try open("disk") }
        #expect(try cache.open(folder.file("disk"), .all, saidFormat: .raw, in: LocalFiles()).chain.format == .raw)
    }

    @Test("A chain is used again only while opening would find the same files in the same state")
    func whatChangedIsOpenedAgain() throws {
        func expectAnother(_ what: String, _ change: () throws -> Void) throws {
            let before = try open().chain
            #expect(try open().chain === before, "\(what): nothing has changed yet")
            try change()
            #expect(try open().chain !== before, "\(what)")
        }
        try expectAnother("a write") { try RawFile(folder.file("base.vhdx")).write([1], at: 500_000) }
        try expectAnother("a write that hides its time") {
            var status = stat()
            #expect(stat(folder.file("child.avhdx"), &status) == 0)
            try RawFile(folder.file("child.avhdx")).write([1], at: 500_000)
            var times = [status.st_atim, status.st_mtim]
            #expect(utimensat(AT_FDCWD, folder.file("child.avhdx"), &times, 0) == 0)
        }
        try expectAnother("another file of the same content") {
            try FileManager.default.copyItem(atPath: folder.file("base.vhdx"), toPath: folder.file("copy.vhdx"))
            #expect(rename(folder.file("copy.vhdx"), folder.file("base.vhdx")) == 0)
        }
    }

    @Test("A candidate for the parent that appears where none was counts")
    func anEarlierCandidate() throws {
        var child = disk(3)
        child.setParent(disk(1).dataWriteGUID, path: "sub/base.vhdx")
        child.locator.append((key: "volume_path", value: "base.vhdx"))
        child.locator.append((key: "absolute_win32_path", value: "C:\\disks\\base.vhdx"))
        try child.write(to: folder.file("third.avhdx"))
        let before = try open("third.avhdx").chain
        #expect(before.layers.last?.file.name.hasSuffix("/base.vhdx") == true)
        #expect(try open("third.avhdx").chain === before)
        try FileManager.default.createDirectory(atPath: folder.file("sub"), withIntermediateDirectories: false)
        try disk(1).write(to: folder.file("sub/base.vhdx"))
        let after = try open("third.avhdx").chain
        #expect(after !== before)
        #expect(after.layers.last?.file.name.hasSuffix("/sub/base.vhdx") == true)
    }

    @Test func aDiskThatIsGoneIsGone() throws {
        _ = try open()
        #expect(unlink(folder.file("base.vhdx")) == 0)
        let error = #expect(throws: ImageError.self) { try open() }
        #expect(error?.code == .parentNotFound)
    }

    @Test("Idle chains are bounded by their number and by their layers, and the oldest go first")
    func bounds() throws {
        var idle = IdleChains(IdleChains.Limits(chains: 3, layers: 4, idleTime: .seconds(10)))
        let start = ContinuousClock.now
        func key(_ name: String) -> IdleChains.Key { IdleChains.Key(name: name, roots: .all) }
        func chain(_ name: String) throws -> DiskChain { try DiskChain.open(folder.file(name), in: LocalFiles()) }
        for name in ["a", "b", "c", "d"] { idle.add(try chain("base.vhdx"), key(name), at: start) }
        #expect(idle.take(key("a")) == nil)
        #expect(idle.take(key("d")) != nil)
        // Two layers each: with what is left that is one too many.
        idle.add(try chain("child.avhdx"), key("e"), at: start + .seconds(5))
        idle.add(try chain("child.avhdx"), key("f"), at: start + .seconds(5))
        #expect(idle.take(key("b")) == nil && idle.take(key("c")) == nil)
        idle.drop(at: start + .seconds(14)) { _ in false }
        #expect(!idle.isEmpty)
        idle.drop(at: start + .seconds(15)) { _ in false }
        #expect(idle.isEmpty)
        idle.add(try chain("child.avhdx"), key("g"), at: start)
        idle.drop(at: start) { _ in true }
        #expect(idle.take(key("g")) == nil)
        var none = IdleChains(IdleChains.Limits(chains: 0))
        none.add(try chain("base.vhdx"), key("a"), at: start)
        #expect(none.isEmpty)
    }
}

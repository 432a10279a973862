import TestSupport
import Testing

@testable import DiskImages

/// Who a VHD is after a merge, and who finds it.
@Suite("Merging VHDs")
struct VHDMergeTests {
    let folder: TemporaryFolder
    let base: String
    let child: String
    let sibling: String

    init() throws {
        folder = try TemporaryFolder()
        base = folder.file("base.vhd")
        child = folder.file("child.avhd")
        sibling = folder.file("sibling.avhd")
    }

    private func make(isFixed: Bool) throws {
        let creation: VHDCreation = isFixed ? .fixed(virtualSize: 3 << 20) : .dynamic(virtualSize: 3 << 20)
        try creation.create(at: base, isDurable: false)
        try write(1, to: base, at: 0)
        for path in [child, sibling] { try VHDCreation.differencing(parent: base).create(at: path, isDurable: false) }
        try write(2, to: child, at: 512)
        try write(3, to: child, at: 2 << 20)
    }

    private func write(_ word: UInt64, to path: String, at offset: UInt64) throws {
        let words = [UInt64](repeating: word, count: 4_096 / 8)
        try ImageWriting.open(path, isDurable: false).write(words.span.bytes, at: offset)
    }

    private func merge() throws {
        try ImageMerge(path: child, isOnlyChild: true, isDurable: false).run()
    }

    private func identifier(_ path: String) throws -> GUID? {
        try LocalFiles().open(path).openImage(in: LocalFiles()).description.identifier
    }

    /// What the child's header says, which is all that other programs know of the parent.
    private func recorded() throws -> GUID? {
        try VHDImage(LocalFiles().open(child)).structure.dynamic?.header.parentID
    }

    @Test(arguments: [false, true]) func theParentGetsAnIdentityThatOnlyTheChildKnows(isFixed: Bool) throws {
        try make(isFixed: isFixed)
        let before = try ChainWords.read(child)
        var seen: Set<GUID?> = [try identifier(base)]
        for _ in 0..<3 {
            try merge()
            #expect(try ChainWords.read(child) == before)
            #expect(try ChainWords.read(base) == before)
            #expect(try recorded() == identifier(base))
            #expect(seen.insert(try identifier(base)).inserted)
            #expect(try DiskChain.check(child, in: LocalFiles()).isSound)
            let refusal = #expect(throws: ImageError.self) { try DiskChain.open(sibling, in: LocalFiles()) }
            #expect(refusal?.code == .parentMismatch)
        }
    }

    /// Where a merge stopped before the child had recorded the new identity, and then a second time.
    @Test func aChildThatRecordedTheOldIdentityIsMergedAgain() throws {
        try make(isFixed: false)
        let before = try ChainWords.read(child)
        let old = try #require(try recorded())
        try merge()
        try record(old)
        #expect(try recorded() == old)
        #expect(try ChainWords.read(child) == before)
        try merge()
        #expect(try recorded() == identifier(base))
        #expect(try ChainWords.read(child) == before)
        #expect(try ChainWords.read(base) == before)
    }

    private func record(_ parent: GUID) throws {
        let storage = try FileStorage.open(child, isDurable: false)
        let structure = try VHDImage(storage.file()).structure
        try VHDHeader.replaceParent(of: structure, with: parent, in: storage, path: child)
    }

    @Test func anIdentityFollowsFromBoth() {
        let one = GUID(high: 1, low: 2)
        let other = GUID(high: 3, low: 4)
        var all: Set<GUID> = [one, other]
        for (child, parent) in [(one, other), (other, one), (one, one), (other, other)] {
            let merged = VHDParentIdentity.afterMerge(of: child, into: parent)
            #expect(merged == VHDParentIdentity.afterMerge(of: child, into: parent))
            #expect(all.insert(merged).inserted)
            #expect(merged.high >> 12 & 0xF == 8 && merged.low >> 62 == 0b10)
        }
    }

    /// The footer at the end is gone, as after a crash: the copy is all there is.
    @Test func aParentWithOneFooterGetsTheOtherAgain() throws {
        try make(isFixed: false)
        let before = try ChainWords.read(child)
        let file = try RawFile(base)
        try file.write([UInt8](repeating: 0, count: 512), at: file.size - 512)
        try merge()
        #expect(try ChainWords.read(base) == before)
        #expect(try DiskChain.check(child, in: LocalFiles()).isSound)
    }
}

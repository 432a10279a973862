import Foundation
import TestSupport
import Testing

@testable import DiskImages

/// What a merge does to both files, and what it refuses.
@Suite("Merging")
struct ImageMergeTests {
    let folder: TemporaryFolder
    let base: String
    let child: String

    init() throws {
        folder = try TemporaryFolder()
        base = folder.file("base.vhdx")
        child = folder.file("child.avhdx")
    }

    private func make(size: UInt64 = 5 << 20) throws {
        try VHDXCreation.dynamic(virtualSize: size, blockSize: 2 << 20).create(at: base, isDurable: false)
        try write(1, to: base, at: 0, count: 3 << 20)
        try VHDXCreation.differencing(parent: base, blockSize: 1 << 20).create(at: child, isDurable: false)
    }

    private func write(_ word: UInt64, to path: String, at offset: UInt64, count: Int) throws {
        let words = [UInt64](repeating: word, count: count / 8)
        try ImageWriting.open(path, isDurable: false).write(words.span.bytes, at: offset)
    }

    private func merge(_ path: String? = nil) throws(ImageError) {
        try ImageMerge(path: path ?? child, isOnlyChild: true, isDurable: false).run()
    }

    private func identifier(_ path: String) throws -> GUID? {
        try LocalFiles().open(path).openImage(in: LocalFiles()).description.identifier
    }

    @Test func theParentHoldsWhatTheChildHeld() throws {
        try make()
        try write(2, to: child, at: 512, count: 1_024)
        try write(3, to: child, at: (1 << 20) - 512, count: 1_024)
        try ImageWriting.open(child, isDurable: false).writeZeroes(at: 2 << 20, count: 1 << 20)
        try write(4, to: child, at: 4 << 20, count: 1 << 20)
        let before = try ChainWords.read(child)
        let (childIdentity, baseIdentity) = (try identifier(child), try identifier(base))
        try merge()
        #expect(try ChainWords.read(child) == before)
        #expect(try ChainWords.read(base) == before)
        // Who knew the parent by its identity must not take it for what it was; the child is what it was.
        #expect(try identifier(base) != baseIdentity)
        #expect(try identifier(child) == childIdentity)
        #expect(try DiskChain.check(child, in: LocalFiles()).isSound)
        // The disk that is not needed any more can still be used, and merged again.
        try write(5, to: child, at: 3 << 20, count: 4_096)
        let after = try ChainWords.read(child)
        for _ in 0..<3 {
            try merge()
            #expect(try ChainWords.read(child) == after)
            #expect(try ChainWords.read(base) == after)
        }
    }

    @Test func aSiblingIsRefusedAfterwards() throws {
        try make()
        let sibling = folder.file("sibling.avhdx")
        try VHDXCreation.differencing(parent: base).create(at: sibling, isDurable: false)
        try write(2, to: child, at: 0, count: 512)
        let before = try VHDXBytes.content(of: [base, child])
        let refusal = refusal { () throws(ImageError) in
            try ImageMerge(path: child, isOnlyChild: false, isDurable: false).run()
        }
        #expect(refusal?.code == .invalidParameter)
        #expect(try VHDXBytes.content(of: [base, child]) == before)
        try merge()
        let stranger = #expect(throws: ImageError.self) { try DiskChain.open(sibling, in: LocalFiles()) }
        #expect(stranger?.code == .parentMismatch)
    }

    @Test func aChildThatHoldsNothingChangesNothing() throws {
        try make()
        let before = try VHDXBytes.content(of: [base, child])
        try merge()
        #expect(try VHDXBytes.content(of: [base, child]) == before)
    }

    @Test func aCheckpointInTheMiddleGoesIntoItsOwnParent() throws {
        try make()
        let leaf = folder.file("leaf.avhdx")
        try write(2, to: child, at: 512, count: 1 << 20)
        try VHDXCreation.differencing(parent: child, blockSize: 4 << 20).create(at: leaf, isDurable: false)
        try write(3, to: leaf, at: 1_024, count: 2 << 20)
        let (before, middle) = (try ChainWords.read(leaf), try ChainWords.read(child))
        try merge()
        #expect(try ChainWords.read(leaf) == before)
        #expect(try ChainWords.read(base) == middle)
        try merge(leaf)
        #expect(try ChainWords.read(leaf) == before)
        #expect(try ChainWords.read(child) == before)
        #expect(try ChainWords.read(base) == middle)
    }

    /// What else the locator says is kept, known or not.
    @Test func theLocatorKeepsItsOtherValues() throws {
        try make()
        var builder = VHDXBuilder(virtualSize: 5 << 20, blockSize: 1 << 20)
        builder.setParent(try #require(try identifier(base)), path: ".\\base.vhdx")
        builder.locator += [
            ("parent_linkage2", "{00000000-0000-0000-0000-000000000000}"), ("a key of somebody's", "a value"),
            ("volume_path", "\\\\?\\Volume{1}\\elsewhere.vhdx"),
        ]
        builder.blocks = [1: .init(state: 6)]
        try builder.write(to: child)
        let old = try #require(try identifier(base))
        for _ in 0..<2 { try merge() }
        let new = try #require(try identifier(base))
        let image = try VHDXImage(LocalFiles().open(child))
        #expect(image.description.parent?.identifiers.first == new)
        #expect(image.description.parent?.identifiers.contains(old) == false)
        #expect(image.description.parent?.candidates == ["base.vhdx", "elsewhere.vhdx"])
        let region = image.structure.regions.metadata
        let table = try VHDXMetadataTable.read(from: image.structure.file, region: region)
        let item = try #require(table.item(VHDXMetadataTable.parentLocatorID))
        let bytes = try RawFile(child).read(at: region.offset + UInt64(item.offset), count: Int(item.length))
        let text = String(decoding: bytes.enumerated().filter { $0.offset % 2 == 0 }.map(\.element), as: UTF8.self)
        #expect(text.contains("a key of somebody'sa value"))
    }

    @Test func aFullMetadataRegionIsRefusedBeforeAnythingChanges() throws {
        try make()
        var builder = VHDXBuilder(virtualSize: 5 << 20, blockSize: 1 << 20)
        builder.setParent(try #require(try identifier(base)), path: ".\\base.vhdx")
        let filler = [UInt8](repeating: 1, count: (1 << 20) - (64 << 10) - 4_096)
        builder.extraItems = [.init(id: GUID(high: 7, low: 7), bytes: filler, flags: 0)]
        builder.blocks = [1: .init(state: 6)]
        try builder.write(to: child)
        let before = try VHDXBytes.content(of: [base, child])
        #expect(refusal { () throws(ImageError) in try merge() }?.code == .unsupported)
        #expect(try VHDXBytes.content(of: [base, child]) == before)
    }

    @Test func whatCannotBeMergedIsRefusedBeforeAnythingChanges() throws {
        try make()
        func check(_ code: ImageError.Code, _ comment: Comment, of path: String? = nil) throws {
            let before = try VHDXBytes.content(of: [base, child])
            #expect(refusal { () throws(ImageError) in try merge(path) }?.code == code, comment)
            #expect(try VHDXBytes.content(of: [base, child]) == before, comment)
        }
        try check(.invalidParameter, "no parent", of: base)
        try check(.fileNotFound, "no file", of: folder.file("none.vhdx"))
        for path in [base, child] {
            let writer = try ImageWriting.open(path)
            try check(.inUse, "\(path) is open")
            withExtendedLifetime(writer) {}
        }
        for size: UInt64 in [4 << 20, 6 << 20] {
            try FileManager.default.removeItem(atPath: child)
            try VHDXCreation.differencing(parent: base, virtualSize: size).create(at: child, isDurable: false)
            try check(.invalidParameter, "\(size) bytes")
        }
        for damaged in [base, child] {
            for path in [base, child] {
                var builder = VHDXBuilder(virtualSize: 5 << 20, blockSize: 1 << 20)
                if path == child { builder.setParent(builder.dataWriteGUID, path: "base.vhdx") }
                builder.blocks = path == damaged ? [3: .init(state: 5)] : [4: .init(state: 6)]
                try builder.write(to: path)
            }
            try check(.corrupt, "a damaged block of \(damaged)")
        }
    }

    /// A log that can be replayed is no problem of the disk, and still must be out of the way of a merge.
    @Test func aDirtyLogIsToldAndMustBeRepairedFirst() throws {
        // The first seeds whose image has no parent.
        for seed in UInt64(1)...6 {
            let made = try RandomDirtyImage(
                seed: seed,
                path: base,
                after: folder.file("after.vhdx"),
                isForQEMU: true
            )
            try FileManager.default.removeItem(atPath: folder.file("after.vhdx"))
            let image = try LocalFiles().open(base).openImage(in: LocalFiles())
            var builder = VHDXBuilder(virtualSize: image.size, blockSize: 1 << 20)
            builder.setParent(made.identifier, path: "base.vhdx")
            builder.logicalSectorSize = image.sectorSize
            builder.blocks = [1: .init(state: 6), 2: .init(state: 7, sectors: [3])]
            try builder.write(to: child)
            let report = try DiskChain.check(child, in: LocalFiles())
            #expect(report.isSound && report.dirtyLogs == [base], "seed \(seed)")
            #expect(refusal { () throws(ImageError) in try merge() }?.code == .unsupported, "seed \(seed)")
            try VHDXRepair.replay(base, isDurable: false)
            #expect(try !DiskChain.check(child, in: LocalFiles()).hasDirtyLog)
            try merge()
            #expect(try DiskChain.check(child, in: LocalFiles()).isSound, "seed \(seed)")
        }
    }
}

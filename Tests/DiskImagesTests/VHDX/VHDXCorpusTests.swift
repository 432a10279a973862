import Foundation
import TestSupport
import Testing

@testable import DiskImages

/// Images that Hyper-V, Windows and QEMU wrote.
@Suite("VHDX images of other programs", .enabled(if: Corpus.isPresent, "\(Corpus.absence)"))
struct VHDXCorpusTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private struct Expected: Decodable {
        var ranges: [[UInt64]]
    }

    private func image(_ name: String) throws -> VHDXImage {
        let path = folder.file("disk.vhdx")
        try Corpus.unpack("vhdx/" + name, to: path)
        return try VHDXImage(LocalFiles().open(path))
    }

    @Test func aCheckpointOfHyperV() throws {
        let leaf = folder.file("leaf.avhdx")
        try Corpus.unpack("vhdx/differencing.avhdx.gz", to: leaf)
        var parent = VHDXBuilder(virtualSize: 8 << 30, blockSize: 32 << 20)
        parent.dataWriteGUID = try #require(GUID("ff34003b-11ed-4cf8-a166-b2be05e20b80"))
        let parentName = "Generation 1_49C4BAF3-4B25-4406-8C4B-D39E65C32385.avhdx"
        try parent.write(to: folder.file(parentName))

        let chain = try DiskChain.open(leaf, in: LocalFiles())
        #expect(chain.layers.count == 2)
        #expect(chain.layers[1].file.name == folder.file(parentName))
        #expect(chain.layers[0].description.identifier != nil)
        let expected = try JSONDecoder().decode(
            Expected.self,
            from: Data(try Corpus.bytes("expected/differencing.avhdx.ranges.json"))
        )
        let ranges = LayerWalk.ranges(
            of: .data,
            in: try LayerWalk.codes(of: chain.layers[0]),
            sectorSize: 512
        )
        #expect(ranges.count == 179)
        #expect(ranges.map { $0[1] }.reduce(0, +) == 3_174_400)
        #expect(ranges == expected.ranges)
    }

    @Test func theCheckpointWithoutItsParentIsRefused() throws {
        let leaf = folder.file("leaf.avhdx")
        try Corpus.unpack("vhdx/differencing.avhdx.gz", to: leaf)
        do throws(ImageError) {
            _ = try DiskChain.open(leaf, in: LocalFiles())
            Issue.record("a chain without its parent is opened")
        } catch {
            #expect(error.code == .parentNotFound)
        }
    }

    @Test func aDynamicDiskOfWindows() throws {
        let image = try image("dynamic.vhdx.gz")
        #expect(image.description.diskType == .dynamic)
        #expect(image.description.blockSize == 32 << 20)
        #expect(image.description.parent == nil)
        let codes = try LayerWalk.codes(of: image)
        #expect(codes.contains(LayerWalk.code(.data)))
    }

    @Test func aFixedDiskOfWindows() throws {
        let image = try image("fixed.vhdx.gz")
        #expect(image.description.diskType == .fixed)
        #expect(try LayerWalk.codes(of: image).allSatisfy { $0 == LayerWalk.code(.data) })
    }

    @Test func aDynamicDiskOfQEMUWithZeroBlocks() throws {
        let image = try image("iotest-dynamic-1G.vhdx.bz2")
        let block = UInt64(image.description.blockSize)
        let codes = try LayerWalk.codes(of: image)
        let counts = [SectorContent.data, .zero].map { content in
            UInt64(codes.count { $0 == LayerWalk.code(content) }) * 512 / block
        }
        #expect(counts == [3, 29])
    }

    /// Of seven entries that are whole, only the last belongs to the log that the header names. It writes the first sector
    /// of the block allocation table.
    @Test func aDirtyLogOfQEMU() throws {
        let image = try image("iotest-dirtylog-10G-4M.vhdx.bz2")
        #expect(image.hasDirtyLog)
        let overlay = try #require(image.structure.file.overlay)
        #expect(overlay.pieces.map(\.sectors) == [512..<513])
        let path = folder.file("disk.vhdx")
        let stored = try RawFile(path).read(at: 2 << 20, count: 4_096)
        let replayed = try image.structure.file.bytes(at: 2 << 20, count: 4_096)
        let codes = try LayerWalk.codes(of: image)
        #expect(codes.contains(LayerWalk.code(.data)))
        #expect(try VHDXRepair.replay(path))
        #expect(try RawFile(path).read(at: 2 << 20, count: 4_096) == replayed)
        #expect(try LayerWalk.codes(of: VHDXImage(LocalFiles().open(path))) == codes)

        guard let program = Oracles.qemuImage else { return }
        let copy = folder.file("copy.vhdx")
        try Corpus.unpack("vhdx/iotest-dirtylog-10G-4M.vhdx.bz2", to: copy)
        #expect(try RawFile(copy).read(at: 2 << 20, count: 4_096) == stored)
        #expect(try Oracles.run(program, ["check", "-f", "vhdx", "-r", "all", copy]).status == 0)
        #expect(try RawFile(copy).read(at: 2 << 20, count: 4_096) == replayed)
        #expect(try Oracles.run(program, ["compare", "-f", "vhdx", "-F", "vhdx", path, copy]).status == 0)
    }
}

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

    @Test func aDirtyLogIsRefused() throws {
        do throws(ImageError) {
            try Corpus.unpackOrFail("vhdx/iotest-dirtylog-10G-4M.vhdx.bz2", to: folder.file("disk.vhdx"))
            _ = try VHDXImage(LocalFiles().open(folder.file("disk.vhdx")))
            Issue.record("an image with a dirty log is opened")
        } catch {
            #expect(error.code == .unsupported)
            #expect(error.message.contains("log"))
        }
    }
}

extension Corpus {
    /// As `unpack`, with a failure that a test shows as it is.
    fileprivate static func unpackOrFail(_ name: String, to path: String) throws(ImageError) {
        do { try unpack(name, to: path) } catch {
            throw ImageError(.readFailed, "\(error)", path: path)
        }
    }
}

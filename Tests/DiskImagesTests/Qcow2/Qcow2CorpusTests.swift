import Foundation
import TestSupport
import Testing

@testable import DiskImages

/// Images that QEMU wrote for other projects' tests.
@Suite("qcow2 images of other programs", .enabled(if: Corpus.isPresent, "\(Corpus.absence)"))
struct Qcow2CorpusTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func unpack(_ names: [String]) throws {
        for name in names { try Corpus.unpack("qcow2/\(name).qcow2.gz", to: folder.file(name + ".qcow2")) }
    }

    private func image(_ name: String) throws -> Qcow2Image {
        try unpack([name])
        return try Qcow2Image(LocalFiles().open(folder.file(name + ".qcow2")), in: LocalFiles())
    }

    /// What `expected/snapshot.qcow2.json` says of two states.
    private struct Pair: Decodable {
        /// [offset, length] of the clusters whose entries differ.
        var mappingDiff: [[UInt64]]
        /// [offset, length] of the bytes that differ.
        var contentDiff: [[UInt64]]
    }

    private struct Pairs: Decodable {
        var pairs: [String: Pair]
    }

    @Test func twoSnapshots() throws {
        let image = try image("snapshot")
        #expect(image.description.format == .qcow2)
        #expect(image.description.diskType == .dynamic)
        #expect(image.description.virtualSize == 512 << 20)
        #expect(image.description.blockSize == 65_536)
        #expect(image.recordedPoints.map(\.id) == ["1", "2"])
        #expect(image.recordedPoints.map(\.name) == ["you can't see me", "confused"])
        #expect(image.recordedPoints.map(\.kind) == [.snapshot, .snapshot])
        #expect(image.recordedPoints.map(\.size) == [512 << 20, 512 << 20])
        #expect(image.recordedPoints.map(\.created) == [1_754_957_438, 1_754_957_524])
        let expected = try JSONDecoder().decode(
            Pairs.self,
            from: Data(try Corpus.bytes("expected/snapshot.qcow2.json"))
        )
        #expect(expected.pairs.count == 3)
        for (name, pair) in expected.pairs {
            let ids = name.components(separatedBy: "->")
            let since = try #require(image.recordedPoints.first { $0.id == ids[0] })
            let target = image.recordedPoints.first { $0.id == ids[1] }
            let codes = try LayerWalk.codes(of: try image.changes(since: since, upTo: target))
            let ranges = LayerWalk.ranges(of: .data, in: codes, sectorSize: 512)
            #expect(ranges == pair.mappingDiff, "\(name)")
            #expect(codes.allSatisfy { $0 != LayerWalk.code(.unmapped) })
            for range in pair.contentDiff {
                #expect(ranges.contains { $0[0] <= range[0] && $0[0] + $0[1] >= range[0] + range[1] }, "\(name)")
            }
        }
    }

    @Test func compressedClusters() throws {
        let codes = try LayerWalk.codes(of: try image("basic"))
        // As `qemu-img map` lists them.
        #expect(LayerWalk.ranges(of: .data, in: codes, sectorSize: 512) == [[1_048_576, 266_338_304]])
    }

    private struct MapEntry: Decodable {
        var start: UInt64
        var length: UInt64
        var depth: Int
        var present: Bool
        var data: Bool
    }

    @Test(arguments: 1...3) func aChainOfThree(top: Int) throws {
        try unpack((1...3).map { "backing-chain-\($0)" })
        let chain = try DiskChain.open(folder.file("backing-chain-\(top).qcow2"), in: LocalFiles())
        #expect(chain.layers.count == 4 - top)
        let expected = try JSONDecoder().decode(
            [MapEntry].self,
            from: Data(try Corpus.bytes("expected/backing-chain-\(top).map.json"))
        )
        for (depth, layer) in chain.layers.enumerated() {
            let ranges = LayerWalk.ranges(of: .data, in: try LayerWalk.codes(of: layer), sectorSize: 512)
            let visible = expected.filter { $0.depth == depth && $0.present && $0.data }.map { [$0.start, $0.length] }
            #expect(!visible.isEmpty)
            if depth == 0 {
                #expect(ranges == visible)
            } else {
                // What is here may be covered by a layer above.
                #expect(visible.allSatisfy { ranges.contains($0) })
            }
        }
    }

    @Test func theMiddleOfAChainWithoutItsBase() throws {
        try unpack(["backing-chain-1", "backing-chain-2"])
        do throws(ImageError) {
            _ = try DiskChain.open(folder.file("backing-chain-1.qcow2"), in: LocalFiles())
            Issue.record("a chain without its base is opened")
        } catch {
            #expect(error.code == .parentNotFound)
        }
    }
}

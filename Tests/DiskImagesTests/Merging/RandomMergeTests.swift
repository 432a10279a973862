import Foundation
import TestSupport
import Testing

@testable import DiskImages

/// Chains that are written at random and merged at random places, compared with the model they were made from.
///
/// `DISKDELTA_MERGES` says how many chains of each format there are, 100 where it is not set.
@Suite("Random merges")
struct RandomMergeTests {
    static let formats: [ImageDescription.Format] = [.vhdx, .vhd]
    static let count = ProcessInfo.processInfo.environment["DISKDELTA_MERGES"].flatMap(UInt64.init) ?? 100
    /// The seeds in pieces that run beside each other.
    static let pieces: [Range<UInt64>] = stride(from: 1, to: count + 1, by: 25).map { $0..<min($0 + 25, count + 1) }

    private static func limits(
        _ format: ImageDescription.Format,
        forOthers: Bool
    ) -> RandomChain.Limits {
        var limits = RandomChain.Limits()
        limits.format = format
        limits.layerCount = 2...5
        limits.virtualSize = 16 << 20
        limits.allowsLarge = false
        limits.allowsResizing = false
        if forOthers {
            // As the tests of chains say of 7-Zip.
            limits.allowsEditing = false
            limits.allowsFolders = false
            limits.sectorUnit = 2
        }
        return limits
    }

    @Test(arguments: formats, pieces) func everyViewStaysAndTheParentStandsAlone(
        format: ImageDescription.Format,
        seeds: Range<UInt64>
    ) throws {
        print("random merges of \(format.rawValue) chains with the seeds \(seeds)")
        for seed in seeds {
            let folder = try TemporaryFolder()
            let chain = try RandomChain.make(seed: seed, in: folder.path, limits: Self.limits(format, forOthers: false))
            var random = RepeatableGenerator(seed: seed &* 31)
            let child = Int.random(in: 0..<chain.layers.count - 1, using: &random)
            for _ in 0...1 {
                let path = chain.layers[child].path
                try ImageMerge(path: path, isOnlyChild: true, isDurable: false).run()
                for index in 0...child {
                    let words = try ChainWords.read(chain.layers[index].path)
                    #expect(words == chain.visibleWords(ofLayer: index), "seed \(seed), layer \(index)")
                }
                let merged = chain.layers[child + 1]
                #expect(
                    try ChainWords.read(merged.path) == chain.visibleWords(ofLayer: child),
                    "seed \(seed), the parent"
                )
                let report = try DiskChain.check(chain.leaf.path, in: LocalFiles())
                #expect(report.isSound, "seed \(seed): \(report.problems)")
                let image = try LocalFiles().open(path).openImage(in: LocalFiles())
                #expect(image.description.identifier == chain.layers[child].identifier, "seed \(seed)")
            }
        }
    }

    @Test(.enabled(if: Oracles.sevenZip != nil, "7-Zip (7zz) is not installed"), arguments: formats)
    func sevenZipReadsTheMergedParentAndTheChild(format: ImageDescription.Format) throws {
        let program = try #require(Oracles.sevenZip)
        for seed in UInt64(400_000)..<400_030 {
            let folder = try TemporaryFolder()
            let chain = try RandomChain.make(seed: seed, in: folder.path, limits: Self.limits(format, forOthers: true))
            try ImageMerge(path: chain.leaf.path, isOnlyChild: true, isDurable: false).run()
            for layer in chain.layers[0...1] {
                let output = folder.file("content")
                let result = try Oracles.run(program, ["e", "-t\(format.rawValue)", layer.path, "-so"], output: output)
                #expect(result.status == 0, "seed \(seed): \(result.text)")
                #expect(try chain.firstDifference(in: output) == nil, "seed \(seed), \(layer.path)")
            }
        }
    }
}

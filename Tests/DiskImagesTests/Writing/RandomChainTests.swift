import DiskImages
import Foundation
import TestSupport
import Testing

/// Chains that are written at random, read by this program and by others, and compared with a model.
///
/// `DISKDELTA_CHAINS` says how many chains of each format there are, 300 where it is not set, and `DISKDELTA_SEED` with which
/// seed they begin.
@Suite("Random chains")
struct RandomChainTests {
    static let count = ProcessInfo.processInfo.environment["DISKDELTA_CHAINS"].flatMap(UInt64.init) ?? 300
    static let firstSeed = ProcessInfo.processInfo.environment["DISKDELTA_SEED"].flatMap(UInt64.init) ?? 1
    /// The seeds in pieces that run beside each other.
    static let pieces: [Range<UInt64>] = stride(from: firstSeed, to: firstSeed + count, by: 50).map {
        $0..<min($0 + 50, firstSeed + count)
    }

    @Test(arguments: [ImageDescription.Format.vhdx, .vhd], pieces)
    func everyLayerHoldsWhatWasWritten(format: ImageDescription.Format, seeds: Range<UInt64>) throws {
        print("random chains of \(format.rawValue) files with the seeds \(seeds)")
        var limits = RandomChain.Limits()
        limits.format = format
        // Where there is no state for zeroes, a range of them takes as much room as any other.
        if format == .vhd { limits.allowsLarge = false }
        for seed in seeds {
            let folder = try TemporaryFolder()
            let chain = try RandomChain.make(seed: seed, in: folder.path, limits: limits)
            let opened = try DiskChain.open(chain.leaf.path, in: LocalFiles())
            try #require(opened.layers.count == chain.layers.count, "seed \(seed)")
            for (image, layer) in zip(opened.layers, chain.layers) {
                #expect(image.description.identifier == layer.identifier, "seed \(seed)")
                #expect(image.description.virtualSize == layer.virtualSize, "seed \(seed)")
                #expect(image.description.blockSize == layer.blockSize, "seed \(seed)")
                let codes = try LayerWalk.codes(of: image)
                if codes != layer.model.codes {
                    let sector = zip(codes, layer.model.codes).enumerated().first { $0.element.0 != $0.element.1 }?
                        .offset
                    Issue.record("seed \(seed), \(layer.path): sector \(sector ?? -1) is wrong")
                }
            }
            let problems = try DiskChain.check(chain.leaf.path, in: LocalFiles()).problems
            #expect(problems.isEmpty, "seed \(seed)")
        }
    }

    /// Chains that every program must read alike. Each is asked for by its seed until there are enough.
    private func forEachComparableChain(
        _ wanted: Int,
        of format: ImageDescription.Format = .vhdx,
        firstSeed: UInt64,
        allowsFolders: Bool = true,
        sectorUnit: Int,
        _ body: (RandomChain, TemporaryFolder) throws -> Void
    ) throws {
        print("random chains of \(format.rawValue) files with \(wanted) seeds from \(firstSeed)")
        var limits = RandomChain.Limits()
        limits.format = format
        limits.virtualSize = 24 << 20
        limits.allowsLarge = false
        limits.allowsResizing = false
        limits.allowsEditing = false
        limits.allowsFolders = allowsFolders
        limits.sectorUnit = sectorUnit
        for seed in firstSeed..<firstSeed + UInt64(wanted) {
            let folder = try TemporaryFolder()
            try body(try RandomChain.make(seed: seed, in: folder.path, limits: limits), folder)
        }
    }

    static let readInFull = min(Int(count), 110)

    /// 7-Zip opens disks with an even number of sectors only, and on this system looks for parents in the child's folder.
    @Test(.enabled(if: Oracles.sevenZip != nil, "7-Zip (7zz) is not installed"))
    func sevenZipReadsTheSame() throws {
        let program = try #require(Oracles.sevenZip)
        try forEachComparableChain(
            Self.readInFull,
            firstSeed: 100_000,
            allowsFolders: false,
            sectorUnit: 2
        ) { chain, folder in
            let output = folder.file("content")
            let result = try Oracles.run(program, ["e", "-tvhdx", chain.leaf.path, "-so"], output: output)
            #expect(result.status == 0, "seed \(chain.seed): \(result.text)")
            #expect(try chain.firstDifference(in: output) == nil, "seed \(chain.seed)")
        }
    }

    /// 7-Zip is the only one here that reads chains of VHD files right.
    @Test(.enabled(if: Oracles.sevenZip != nil, "7-Zip (7zz) is not installed"))
    func sevenZipReadsTheSameOfVHDs() throws {
        let program = try #require(Oracles.sevenZip)
        try forEachComparableChain(
            3 * Self.readInFull,
            of: .vhd,
            firstSeed: 400_000,
            allowsFolders: false,
            sectorUnit: 1
        ) { chain, folder in
            let output = folder.file("content")
            let result = try Oracles.run(program, ["e", "-tvhd", chain.leaf.path, "-so"], output: output)
            #expect(result.status == 0, "seed \(chain.seed): \(result.text)")
            #expect(try chain.firstDifference(in: output) == nil, "seed \(chain.seed)")
        }
    }

    /// QEMU passes over the parents of VHD files, so that it is asked about bases only.
    @Test(.enabled(if: Oracles.qemuImage != nil, "qemu-img is not installed"))
    func qemuReadsTheSameOfVHDsWithoutAParent() throws {
        let program = try #require(Oracles.qemuImage)
        try forEachComparableChain(
            Self.readInFull,
            of: .vhd,
            firstSeed: 500_000,
            sectorUnit: 1
        ) { chain, folder in
            let base = try #require(chain.layers.last)
            let output = folder.file("content")
            let result = try Oracles.run(program, ["convert", "-f", "vpc", "-O", "raw", base.path, output])
            #expect(result.status == 0, "seed \(chain.seed): \(result.text)")
            let index = chain.layers.count - 1
            #expect(try chain.firstDifference(in: output, ofLayer: index) == nil, "seed \(chain.seed)")
        }
    }

    private static let dissectScript = """
        import shutil, sys
        from pathlib import Path
        from dissect.hypervisor.disk.vhdx import VHDX
        for line in sys.argv[1:]:
            source, target = line.split("|")
            disk = VHDX(Path(source))
            with open(target, "wb") as out:
                left = disk.size
                disk.seek(0)
                while left:
                    piece = disk.read(min(left, 1 << 20))
                    if not piece:
                        break
                    out.write(piece)
                    left -= len(piece)
        """

    /// dissect.hypervisor loses the end of a run that a partially present block leaves to a partially present block below
    /// if it does not begin with a byte of the bitmap, so that everything here is in units of eight sectors.
    @Test(
        .enabled(
            if: Oracles.dissectPython != nil,
            "no Python with dissect.hypervisor: set DISKDELTA_ORACLE_PYTHON to one"
        )
    )
    func dissectReadsTheSame() throws {
        let python = try #require(Oracles.dissectPython)
        var waiting: [(RandomChain, TemporaryFolder)] = []
        func compare() throws {
            let lines = waiting.map { "\($0.leaf.path)|\($1.file("content"))" }
            let result = try Oracles.run(python, ["-c", Self.dissectScript] + lines)
            #expect(result.status == 0, "\(result.text)")
            for (chain, folder) in waiting {
                #expect(try chain.firstDifference(in: folder.file("content")) == nil, "seed \(chain.seed)")
            }
            waiting = []
        }
        try forEachComparableChain(Self.readInFull, firstSeed: 200_000, sectorUnit: 8) { chain, folder in
            waiting.append((chain, folder))
            if waiting.count == 20 { try compare() }
        }
        try compare()
    }

    /// QEMU knows only logical sectors of 512 bytes.
    @Test(.enabled(if: Oracles.qemuImage != nil, "qemu-img is not installed"))
    func qemuFindsNoFaultInDisksWithoutAParent() throws {
        let program = try #require(Oracles.qemuImage)
        for seed in UInt64(300_000)..<300_000 + UInt64(min(Self.readInFull, 40)) {
            let folder = try TemporaryFolder()
            var limits = RandomChain.Limits()
            limits.layerCount = 1...2
            limits.sectorSizes = [512]
            let chain = try RandomChain.make(seed: seed, in: folder.path, limits: limits)
            let base = try #require(chain.layers.last)
            let result = try Oracles.run(program, ["check", "-f", "vhdx", base.path])
            #expect(result.status == 0, "seed \(seed): \(result.text)")
        }
    }
}

import TestSupport
import Testing

@testable import DiskImages

/// What the states of blocks and the bits of sector bitmaps mean.
@Suite("VHDX images")
struct VHDXImageTests {
    let folder: TemporaryFolder
    let path: String

    init() throws {
        folder = try TemporaryFolder()
        path = folder.file("disk.vhdx")
    }

    private func open(_ builder: VHDXBuilder) throws -> VHDXImage {
        try builder.write(to: path)
        return try VHDXImage(LocalFiles().open(path))
    }

    private func dynamic(blocks: Int) -> VHDXBuilder {
        VHDXBuilder(virtualSize: UInt64(blocks) << 20, blockSize: 1 << 20)
    }

    private func differencing(blocks: Int) -> VHDXBuilder {
        var builder = dynamic(blocks: blocks)
        builder.setParent(GUID(high: 1, low: 1), path: "parent.vhdx")
        return builder
    }

    @Test func describesItself() throws {
        var builder = differencing(blocks: 3)
        builder.locator.append(("absolute_win32_path", "\\\\?\\D:\\disks\\parent.vhdx"))
        builder.locator.append(("volume_path", "\\\\?\\Volume{26A21BDA-A627-11D7-9931-806E6F6E6963}\\moved.vhdx"))
        builder.locator.append(("parent_linkage2", "{00000000-0000-0000-0000-000000000000}"))
        let description = try open(builder).description
        #expect(description.format == .vhdx)
        #expect(description.diskType == .differencing)
        #expect(description.virtualSize == 3 << 20)
        #expect(description.blockSize == 1 << 20)
        #expect(description.logicalSectorSize == 512)
        #expect(description.physicalSectorSize == 4_096)
        #expect(description.virtualDiskID == builder.virtualDiskID)
        #expect(description.identifier == builder.dataWriteGUID)
        #expect(
            description.parent
                == ParentReference(candidates: ["parent.vhdx", "moved.vhdx"], identifiers: [GUID(high: 1, low: 1)])
        )
        builder.parameterFlags = 1
        #expect(try open(builder).description.diskType == .fixed)
        #expect(try open(builder).description.parent == nil)
        builder.parameterFlags = 0
        #expect(try open(builder).description.diskType == .dynamic)
    }

    @Test func theRevisionFollowsEveryPartOfTheHeader() throws {
        var builder = dynamic(blocks: 1)
        var revisions: Set<String> = [try open(builder).description.revision]
        builder.fileWriteGUID = GUID(high: 9, low: 9)
        revisions.insert(try open(builder).description.revision)
        builder.dataWriteGUID = GUID(high: 9, low: 9)
        revisions.insert(try open(builder).description.revision)
        builder.sequenceNumbers = [9, 8]
        revisions.insert(try open(builder).description.revision)
        #expect(revisions.count == 4)
    }

    @Test(arguments: [
        (UInt64(0), SectorContent.absent), (1, .data), (2, .zero), (3, .unmapped), (6, .data),
    ])
    func uniformStates(state: UInt64, content: SectorContent) throws {
        for var builder in [dynamic(blocks: 2), differencing(blocks: 2)] {
            builder.blocks = [1: .init(state: state)]
            let image = try open(builder)
            var mask = SectorMask()
            #expect(try image.extent(at: 1 << 20, limit: 2 << 20, into: &mask) == .uniform(content, end: 2 << 20))
        }
    }

    /// Where the place is reserved it may say anything; a block that keeps its place for later keeps one that can be.
    @Test func placesOfBlocksThatAreNotPresent() throws {
        let places: [UInt64] = [0, 1 << 20, 2 << 20, 1 << 40, 1 << 63]
        for state: UInt64 in 0...3 {
            for place in places {
                var builder = differencing(blocks: 2)
                builder.blocks = [1: .init(state: state, offset: place)]
                let isAccepted = state % 2 == 0 || place == 0
                let codes = try? LayerWalk.codes(of: try open(builder))
                #expect((codes != nil) == isAccepted, "state \(state) at \(place)")
                let image = try open(builder)
                let findings = try VHDXBlockCheck(image).findings(limit: 9)
                #expect(findings.problems.map(\.offset) == (isAccepted ? [] : [builder.placeOfEntry(block: 1)]))
            }
        }
    }

    /// "The sector bitmap MUST NOT be inspected, because the block is fully present" (2.5.1.1).
    @Test func aFullyPresentBlockDoesNotConsultItsBitmap() throws {
        var builder = differencing(blocks: 2)
        builder.blocks = [0: .init(state: 6, sectors: [3]), 1: .init(state: 2, sectors: [5])]
        let codes = try LayerWalk.codes(of: try open(builder))
        #expect(codes[..<2_048].allSatisfy { $0 == LayerWalk.code(.data) })
        #expect(codes[2_048...].allSatisfy { $0 == LayerWalk.code(.zero) })
    }

    @Test(arguments: [UInt32(512), 4_096]) func partialBlocksFollowTheirBitmap(sectorSize: UInt32) throws {
        var builder = differencing(blocks: 3)
        builder.logicalSectorSize = sectorSize
        let perBlock = Int((1 << 20) / sectorSize)
        let sectors: Set<Int> = [0, 1, 2, 7, 8, 63, 64, perBlock - 1]
        builder.blocks = [1: .init(state: 7, sectors: sectors)]
        let codes = try LayerWalk.codes(of: try open(builder))
        for (index, code) in codes.enumerated() {
            let isSet = index / perBlock == 1 && sectors.contains(index % perBlock)
            #expect(code == LayerWalk.code(isSet ? .data : .absent), "sector \(index)")
        }
    }

    @Test func aDiskThatEndsInsideABlockEndsThere() throws {
        for state: UInt64 in [0, 2, 6, 7] {
            var builder = differencing(blocks: 2)
            builder.virtualSize -= 512 * 100
            builder.blocks = [1: .init(state: state, sectors: state == 7 ? [0, 1_947] : [])]
            let image = try open(builder)
            var mask = SectorMask()
            let extent = try image.extent(at: 1 << 20, limit: builder.virtualSize, into: &mask)
            if state == 7 {
                #expect(extent == .mixed(end: builder.virtualSize))
                #expect(mask.count == 1_948)
                #expect(mask.words[1_947 / 64] == 1 << UInt64(1_947 % 64))
            } else if case .uniform(_, let end) = extent {
                #expect(end == builder.virtualSize)
            }
        }
    }

    @Test func runsOfEqualBlocksAreOneExtentAndStopAtTheLimit() throws {
        var builder = dynamic(blocks: 20_000)
        builder.blocks = [
            5: .init(state: 6), 6: .init(state: 6), 7: .init(state: 1), 8: .init(state: 2), 15_000: .init(state: 3),
        ]
        let image = try open(builder)
        let size = builder.virtualSize
        var mask = SectorMask()
        #expect(try image.extent(at: 0, limit: size, into: &mask) == .uniform(.absent, end: 5 << 20))
        #expect(try image.extent(at: 5 << 20, limit: size, into: &mask) == .uniform(.data, end: 8 << 20))
        #expect(try image.extent(at: 5 << 20, limit: 6 << 20, into: &mask) == .uniform(.data, end: 6 << 20))
        #expect(try image.extent(at: 32_768, limit: 65_536, into: &mask) == .uniform(.absent, end: 65_536))
        // The work of a call is bounded by a page of the table, so that a long run takes a few calls.
        var offset: UInt64 = 9 << 20
        var calls = 0
        while offset < 15_000 << 20 {
            guard case .uniform(.absent, let end) = try image.extent(at: offset, limit: size, into: &mask) else {
                Issue.record("block \(offset >> 20) is not absent")
                return
            }
            offset = end
            calls += 1
        }
        #expect(offset == 15_000 << 20)
        #expect(calls <= 3)
    }

    /// As long as a mask is, a chunk lasts, and the blocks are alike.
    @Test func aRunOfPartiallyPresentBlocksIsOneExtent() throws {
        var builder = differencing(blocks: 4_200)
        for block in Array(0..<40) + Array(4_090..<4_100) where block != 35 {
            builder.blocks[block] = .init(state: 7, sectors: [block % 2_048])
        }
        let image = try open(builder)
        let size = builder.virtualSize
        var mask = SectorMask()
        #expect(try image.extent(at: 0, limit: size, into: &mask) == .mixed(end: 32 << 20))
        #expect((0..<32).allSatisfy { mask.words[$0 * 32 + $0 / 64] == 1 << UInt64($0 % 64) })
        #expect(mask.words.reduce(0) { $0 + $1.nonzeroBitCount } == 32)
        #expect(try image.extent(at: 32 << 20, limit: size, into: &mask) == .mixed(end: 35 << 20))
        #expect(try image.extent(at: 35 << 20, limit: size, into: &mask) == .uniform(.absent, end: 36 << 20))
        #expect(try image.extent(at: 4_090 << 20, limit: size, into: &mask) == .mixed(end: 4_096 << 20))
        #expect(try image.extent(at: 4_096 << 20, limit: size, into: &mask) == .mixed(end: 4_100 << 20))
    }

    /// A chunk of 4,096 blocks of 1 MiB: the bitmaps of the second chunk have an entry and a block of their own.
    @Test func everyChunkHasItsOwnBitmap() throws {
        var builder = differencing(blocks: 9_000)
        #expect(builder.chunkRatio == 4_096)
        let picks = [0, 4_095, 4_096, 8_191, 8_192, 8_999]
        for (number, block) in picks.enumerated() {
            builder.blocks[block] = .init(state: 7, sectors: [number * 64 + 5])
        }
        let image = try open(builder)
        var mask = SectorMask()
        for (number, block) in picks.enumerated() {
            let start = UInt64(block) << 20
            #expect(try image.extent(at: start, limit: start + 1 << 20, into: &mask) == .mixed(end: start + 1 << 20))
            #expect(mask.words[number] == 1 << 5)
            #expect(mask.words[..<32].map(\.nonzeroBitCount).reduce(0, +) == 1)
        }
    }

    @Test func blocksLargerThanAMaskComeInPieces() throws {
        var builder = VHDXBuilder(virtualSize: 300 << 20, blockSize: 256 << 20)
        builder.setParent(GUID(high: 1, low: 1), path: "parent.vhdx")
        let sectors = [0, 65_535, 65_536, 300_000, 524_287]
        builder.blocks = [0: .init(state: 7, sectors: Set(sectors))]
        let codes = try LayerWalk.codes(of: try open(builder))
        #expect(codes.indices.filter { codes[$0] == LayerWalk.code(.data) } == sectors)
    }

    @Test func wrongWindowsAreRefused() throws {
        let image = try open(dynamic(blocks: 2))
        var mask = SectorMask()
        for (offset, limit) in [(512, 1 << 20), (0, 512), (0, 0), (2 << 20, 3 << 20), (1 << 20, 1 << 19)]
            as [(UInt64, UInt64)]
        {
            #expect(throws: ImageError.self) { try image.extent(at: offset, limit: limit, into: &mask) }
        }
    }
}

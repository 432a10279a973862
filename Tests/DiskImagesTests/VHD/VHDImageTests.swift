import TestSupport
import Testing

@testable import DiskImages

/// What footers, headers, tables and bitmaps mean.
@Suite("VHD images")
struct VHDImageTests {
    let folder: TemporaryFolder
    let path: String

    init() throws {
        folder = try TemporaryFolder()
        path = folder.file("disk.vhd")
    }

    private func open() throws(ImageError) -> VHDImage { try VHDImage(LocalFiles().open(path)) }

    private func open(_ builder: VHDBuilder) throws -> VHDImage {
        try builder.write(to: path)
        return try open()
    }

    private func sectors(_ image: VHDImage) throws -> [Int] {
        let codes = try LayerWalk.codes(of: image)
        return codes.indices.filter { codes[$0] == LayerWalk.code(.data) }
    }

    private func refusal(_ builder: VHDBuilder, _ change: (RawFile) throws -> Void = { _ in }) throws -> ImageError? {
        try builder.write(to: path)
        try change(RawFile(path))
        do throws(ImageError) {
            _ = try LocalFiles().open(path).openImage(in: LocalFiles())
            return nil
        } catch {
            return error
        }
    }

    @Test(arguments: [UInt32](15...23).map { 1 << $0 }) func bitsAreDataWithAndWithoutAParent(blockSize: UInt32) throws
    {
        for isDifferencing in [false, true] {
            var builder = VHDBuilder(virtualSize: 3 * UInt64(blockSize) + 512 * 9, blockSize: blockSize)
            if isDifferencing { builder.setParent(GUID(high: 1, low: 1), path: ".\\p.vhd") }
            let perBlock = Int(blockSize / 512)
            builder.blocks = [
                1: .init(sectors: [0, 1, 7, 8, 20, 63, perBlock - 1]), 3: .init(sectors: [0, 8]),
            ]
            let image = try open(builder)
            #expect(image.description.diskType == (isDifferencing ? .differencing : .dynamic))
            #expect(image.description.blockSize == blockSize)
            let expected = [0, 1, 7, 8, 20, 63, perBlock - 1].map { $0 + perBlock } + [3 * perBlock, 3 * perBlock + 8]
            #expect(try sectors(image) == Array(Set(expected)).sorted())
            // The same, asked about piece by piece.
            let windows = stride(from: UInt64(32 << 10), to: image.size, by: 96 << 10)
            #expect(try LayerWalk.codes(of: image, windows: Array(windows)) == LayerWalk.codes(of: image))
        }
    }

    /// Extents end on multiples of 64 sectors, whatever the blocks do.
    @Test(arguments: [UInt32](9...15).map { 1 << $0 }) func blocksMayBeSmall(blockSize: UInt32) throws {
        var random = RepeatableGenerator(seed: UInt64(blockSize))
        for round in 0..<4 {
            let perBlock = Int(blockSize / 512)
            var builder = VHDBuilder(virtualSize: UInt64(9_000 + round * 37) * 512, blockSize: blockSize)
            if round % 2 == 1 { builder.setParent(GUID(high: 1, low: 1), path: "p.vhd") }
            let sectorCount = Int(builder.virtualSize / 512)
            var expected: [Int] = []
            for block in 0..<builder.blockCount where random.chance(round < 2 ? 50 : 2) {
                let all = (0..<perBlock).filter { _ in random.chance(50) }
                builder.blocks[block] = .init(sectors: Set(all))
                expected += all.map { block * perBlock + $0 }.filter { $0 < sectorCount }
            }
            let image = try open(builder)
            #expect(try sectors(image) == expected)
            let windows = stride(from: UInt64(32 << 10), to: image.size, by: 96 << 10)
            #expect(try LayerWalk.codes(of: image, windows: Array(windows)) == LayerWalk.codes(of: image))
            do {
                let writer = try ImageWriting.open(path, isDurable: false)
                try writer.write([UInt8](repeating: 1, count: 512 * 100), at: 512 * 1_000)
            }
            let written = Set(try sectors(VHDImage(LocalFiles().open(path))))
            #expect(written.isSuperset(of: expected + Array(1_000..<1_100)))
            #expect(try DiskChain.check(path, in: LocalFiles()).problems.filter { $0.code != .parentNotFound }.isEmpty)
        }
    }

    /// What lies before a damaged entry is told, and what lies behind it as well.
    @Test func aDamagedEntryAmongSmallBlocksIsRefusedByItself() throws {
        var builder = VHDBuilder(virtualSize: 256 * 4_096, blockSize: 4_096)
        builder.blocks = [0: .init(sectors: [1]), 20: .init(sectors: [2]), 21: .init(entry: 1, sectors: [])]
        let image = try open(builder)
        var mask = SectorMask()
        #expect(try image.extent(at: 0, limit: image.size, into: &mask) == .mixed(end: 16 * 4_096))
        #expect(mask.words[0] == 2)
        #expect(throws: ImageError.self) { try image.extent(at: 16 * 4_096, limit: image.size, into: &mask) }
        let rest: UInt64 = 24 * 4_096
        #expect(try image.extent(at: rest, limit: image.size, into: &mask) == .uniform(.absent, end: image.size))
    }

    @Test func bitsOfAByteAreTurnedRound() {
        var word: UInt64 = 1
        for byte in 0..<8 {
            for bit in 0..<8 {
                #expect(VHDSectorBitmap.reversingBytes(word) == 1 << UInt64(byte * 8 + 7 - bit))
                word <<= 1
            }
        }
    }

    @Test func aDiskOfManyPagesIsReadWhereItIsAskedAbout() throws {
        var builder = VHDBuilder(virtualSize: 2_040 << 30, blockSize: 2 << 20)
        let last = builder.blockCount - 1
        builder.blocks = [20_000: .init(sectors: [5]), last: .init(sectors: [4_095])]
        let image = try open(builder)
        var mask = SectorMask()
        var offset: UInt64 = 0
        var extents = 0
        var data: [UInt64] = []
        while offset < image.size {
            switch try image.extent(at: offset, limit: image.size, into: &mask) {
            case .uniform(.absent, let end): offset = end
            case .mixed(let end):
                data.append(offset >> 21)
                offset = end
            case let extent: Issue.record("\(extent)")
            }
            extents += 1
        }
        #expect(data == [20_000, UInt64(last)])
        #expect(extents < 100)
        // Nothing is concluded from an entry outside the window.
        try RawFile(path).write([0, 0, 0, 1], at: builder.placeOfEntry(block: 7))
        let end: UInt64 = 1 << 20
        #expect(try open().extent(at: 0, limit: end, into: &mask) == .uniform(.absent, end: end))
        #expect(throws: ImageError.self) { try open().extent(at: 14 << 20, limit: 16 << 20, into: &mask) }
    }

    @Test func aFixedDiskIsAllData() throws {
        var builder = VHDBuilder(virtualSize: 1 << 20)
        builder.type = 2
        let image = try open(builder)
        #expect(image.description.diskType == .fixed)
        #expect(image.description.blockSize == 0)
        var mask = SectorMask()
        #expect(try image.extent(at: 0, limit: 1 << 20, into: &mask) == .uniform(.data, end: 1 << 20))
        // A guest may write what it likes to its first sectors.
        var other = VHDBuilder(virtualSize: 8 << 20)
        other.setParent(GUID(high: 1, low: 1), path: "..\\secret.vhd")
        try RawFile(path).write(other.footer(), at: 0)
        #expect(try open().description.parent == nil)
        // The file has the data and the footer, and nothing else.
        #expect(try refusal(builder) { try $0.write(builder.footer(), at: (1 << 20) + 512) }?.code == .corrupt)
        builder.footerLength = 511
        #expect(try open(builder).description.virtualSize == 1 << 20)
    }

    @Test func theFooterIsFoundInAllItsForms() throws {
        var builder = VHDBuilder(virtualSize: 4 << 20)
        builder.blocks = [0: .init(sectors: [3])]
        builder.footerLength = 511
        #expect(try sectors(open(builder)) == [3])
        builder.footerLength = 512
        builder.hasCopy = false
        #expect(try sectors(open(builder)) == [3])
        builder.hasCopy = true
        // The copy, where the end is missing or damaged.
        for cut in [UInt64(2), 100, 512] {
            try builder.write(to: path)
            try RawFile(path).truncate(to: RawFile(path).size - cut)
            #expect(try sectors(open()) == [3])
            #expect(try DiskChain.check(path, in: LocalFiles()).problems.map(\.detailCode) == [0xC03A_0001])
        }
        try builder.write(to: path)
        try RawFile(path).write([1], at: 100)
        #expect(try sectors(open()) == [3])
        #expect(try DiskChain.check(path, in: LocalFiles()).problems.map(\.detailCode) == [0xC03A_0003])
        // Without its last byte, which is zero, a footer is one of 511 bytes.
        try builder.write(to: path)
        try RawFile(path).truncate(to: RawFile(path).size - 1)
        #expect(try sectors(open()) == [3])
        #expect(try DiskChain.check(path, in: LocalFiles()).problems.isEmpty)
        // A later time is all in which they may differ.
        builder.timestamp += 1
        #expect(try refusal(VHDBuilder(virtualSize: 4 << 20)) { try $0.write(builder.footer(), at: 0) } == nil)
        builder.uniqueID = GUID(high: 1, low: 1)
        let error = try refusal(VHDBuilder(virtualSize: 4 << 20)) { try $0.write(builder.footer(), at: 0) }
        #expect(error?.code == .corrupt && error?.detailCode == 0xC03A_0003)
    }

    /// What is cut off where its content has the end of another VHD file must not be taken for that.
    @Test func theEndOfAnotherDiskIsNotTakenForThisOne() throws {
        for type in [UInt32(2), 3] {
            var inner = VHDBuilder(virtualSize: 64 << 10, blockSize: 32 << 10)
            inner.type = type
            inner.uniqueID = GUID(high: 7, low: 7)
            var outer = VHDBuilder(virtualSize: 4 << 20)
            outer.blocks = [0: .init(sectors: [0])]
            let error = try refusal(outer) { file in
                try file.truncate(to: 1 << 20)
                try file.write(inner.footer(), at: 1 << 20)
            }
            #expect(error?.code == .corrupt, "type \(type)")
        }
    }

    @Test func refusalsCarryTheirCodes() throws {
        let good = VHDBuilder(virtualSize: 4 << 20)
        func code(
            _ change: (inout VHDBuilder) -> Void,
            _ damage: (RawFile) throws -> Void = { _ in }
        ) throws -> [String] {
            var builder = good
            change(&builder)
            guard let error = try refusal(builder, damage) else { return ["opens"] }
            let name =
                switch error.code {
                case .corrupt: "corrupt"
                case .unsupported: "unsupported"
                default: "\(error)"
                }
            return [name, String(error.detailCode & 0xFF, radix: 16)]
        }
        #expect(try code { _ in } == ["opens"])
        #expect(try code({ $0.hasCopy = false }) { try $0.truncate(to: $0.size - 600) } == ["corrupt", "1"])
        #expect(try code({ $0.hasCopy = false }) { try $0.write([9], at: $0.size - 100) } == ["corrupt", "2"])
        #expect(try code { $0.version = 0x20000 } == ["unsupported", "5"])
        #expect(try code { $0.version = 0x10001 } == ["opens"])
        #expect(try code { $0.features = 3 } == ["opens"])
        #expect(try code { $0.features = 6 } == ["unsupported", "5"])
        for type in [UInt32(0), 1, 5, 6, 7] { #expect(try code { $0.type = type } == ["unsupported", "1b"]) }
        for size in [UInt64(0), 513, (2_040 << 30) + 512, .max] {
            var builder = good
            builder.virtualSize = size
            let footer = builder.footer()
            let damage: (RawFile) throws -> Void = {
                try $0.write(footer, at: 0)
                try $0.truncate(to: $0.size - 512)
            }
            #expect(try code({ _ in }, damage) == ["corrupt", "3"])
        }
        for offset in [UInt64(0), 100, 513, 1 << 40, .max, .max - 511] {
            #expect(try code { $0.dataOffset = offset } == ["corrupt", "3"], "\(offset)")
        }
        #expect(try code { $0.dataOffset = 1_024 } == ["corrupt", "8"])
        #expect(try code({ _ in }) { try $0.write([9], at: 512 + 1_000) } == ["corrupt", "6"])
        #expect(try code { $0.headerVersion = 0x20000 } == ["unsupported", "7"])
        for offset in [UInt64(0), 512, 1_024, 1_000, 1_537, 1 << 40, .max, .max - 511] {
            #expect(try code { $0.headerTableOffset = offset } == ["corrupt", "8"], "\(offset)")
        }
        #expect(try code { $0.maximumEntryCount = 1 } == ["corrupt", "8"])
        #expect(try code { $0.maximumEntryCount = .max } == ["opens"])
        for size in [UInt32(0), 1, 256, 3 << 20, .max] { #expect(try blockSizeCode(size) == ["corrupt", "b"]) }
        for size in [UInt32(512) << 20, 1 << 31] { #expect(try blockSizeCode(size) == ["unsupported", "b"]) }
        #expect(try code { $0.type = 4 } == ["corrupt", "8"])
        #expect(try code { $0.setParent(.zero, path: "p.vhd") } == ["corrupt", "8"])
        #expect(try code { $0.setParent(GUID(high: 1, low: 1), path: "") } == ["corrupt", "8"])
        #expect(try code { $0.savedState = 1 } == ["opens"])
    }

    /// The refusal of a header with this block size.
    private func blockSizeCode(_ size: UInt32) throws -> [String] {
        let error = try refusal(VHDBuilder(virtualSize: 4 << 20)) { file in
            var header = try file.read(at: 512, count: 1_024)
            header.replaceSubrange(32..<36, with: (0..<4).map { UInt8(truncatingIfNeeded: size >> (24 - $0 * 8)) })
            try file.write(VHDBuilder.checksummed(header, field: 36, length: 1_024), at: 512)
        }
        return [
            error?.code == .corrupt ? "corrupt" : "unsupported", String((error?.detailCode ?? 0) & 0xFF, radix: 16),
        ]
    }

    @Test func blocksWhereNoneCanBeAreRefused() throws {
        let size = try {
            try VHDBuilder(virtualSize: 4 << 20).write(to: path)
            return try RawFile(path).size
        }()
        let entries: [UInt32] = [0, 1, 2, 3, UInt32(size / 512), .max - 1]
        for entry in entries {
            var builder = VHDBuilder(virtualSize: 4 << 20)
            builder.blocks = [1: .init(entry: entry, sectors: [])]
            let image = try open(builder)
            let error = #expect(throws: ImageError.self, "entry \(entry)") { try sectors(image) }
            #expect(error?.code == .corrupt && error?.detailCode == 0xC03A_000A)
            #expect(error?.offset == builder.placeOfEntry(block: 1))
            #expect(try DiskChain.check(path, in: LocalFiles()).problems.map(\.detailCode) == [0xC03A_000A])
        }
        // Over the footer at the end, by a sector.
        var builder = VHDBuilder(virtualSize: 4 << 20)
        builder.blocks = [0: .init(sectors: [1])]
        try builder.write(to: path)
        let entry = try RawFile(path).number(UInt32.self, at: builder.placeOfEntry(block: 0)).byteSwapped
        try RawFile(path).write(number: (entry + 1).byteSwapped, at: builder.placeOfEntry(block: 0))
        #expect(throws: ImageError.self) { try sectors(open()) }
        // Two blocks in one place are found by a check.
        try RawFile(path).write(number: entry.byteSwapped, at: builder.placeOfEntry(block: 0))
        try RawFile(path).write(number: entry.byteSwapped, at: builder.placeOfEntry(block: 1))
        #expect(try DiskChain.check(path, in: LocalFiles()).problems.count == 1)
    }

    @Test func lostSpaceIsCounted() throws {
        var builder = VHDBuilder(virtualSize: 4 << 20, blockSize: 512 << 10)
        builder.blocks = [0: .init(sectors: [1]), 1: .init(sectors: [1]), 5: .init(sectors: [1])]
        try builder.write(to: path)
        #expect(try DiskChain.check(path, in: LocalFiles()).leakedBytes == 0)
        for (count, block) in [(1, 1), (2, 5), (3, 0)] {
            try RawFile(path).write([0xFF, 0xFF, 0xFF, 0xFF], at: builder.placeOfEntry(block: block))
            let report = try DiskChain.check(path, in: LocalFiles())
            #expect(report.isSound)
            #expect(report.leakedBytes == UInt64(count) * (512 + (512 << 10)))
        }
    }
}

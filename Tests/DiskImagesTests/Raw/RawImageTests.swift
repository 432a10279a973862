import Foundation
import TestSupport
import Testing

@testable import DiskImages

/// Raw disks: what the file system keeps data for.
@Suite("Raw disks")
struct RawImageTests {
    private static let page = 4_096
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func open(_ name: String = "a.raw") throws -> any DiskImage {
        try DiskChain.open(folder.file(name), in: LocalFiles()).layers[0]
    }

    /// Writes something into each of `pages` of a file of `size` bytes.
    private func write(pages: some Sequence<Int>, size: UInt64, to name: String = "a.raw") throws {
        let file = try RawFile(folder.file(name), create: true)
        try file.truncate(to: size)
        for page in pages {
            let offset = UInt64(page * Self.page)
            let count = min(UInt64(Self.page), size - offset)
            try file.write([UInt8](repeating: 7, count: Int(count)), at: offset)
        }
    }

    /// Whether the file system of the temporary folder tells a hole of one page apart.
    private func hasHoles() throws -> Bool {
        try write(pages: [1, 3], size: 5 * UInt64(Self.page), to: "probe.raw")
        let file = try LocalFiles().open(folder.file("probe.raw"))
        let size = file.size
        return try file.dataRun(from: 0, to: size) == 4_096..<8_192
            && file.dataRun(from: 8_192, to: size) == 12_288..<16_384
            && file.dataRun(from: 16_384, to: size) == nil
    }

    /// Each sector's content over the window; every extent is checked against the rules of `SectorMap`.
    private func sectors(of image: any DiskImage, from start: UInt64 = 0, to limit: UInt64? = nil) throws -> [Bool] {
        let limit = limit ?? image.size
        var mask = SectorMask()
        var sectors: [Bool] = []
        var offset = start
        while offset < limit {
            let extent = try image.extent(at: offset, limit: limit, into: &mask)
            switch extent {
            case .uniform(let content, let end):
                try #require(end > offset && end <= limit && (end % 32_768 == 0 || end == image.size))
                #expect(content == .data || content == .absent)
                sectors += Array(repeating: content == .data, count: Int((end - offset + 511) / 512))
                offset = end
            case .mixed(let end):
                try #require(end > offset && end <= limit && (end % 32_768 == 0 || end == image.size))
                try #require(mask.count == Int((end - offset + 511) / 512) && !mask.hasZeroes)
                for bit in 0..<mask.count { sectors.append(mask.words[bit / 64] >> UInt64(bit % 64) & 1 == 1) }
                offset = end
            }
        }
        return sectors
    }

    @Test func whatItIs() throws {
        try write(pages: [], size: 1_000_001)
        let what = try open().description
        #expect(what.format == .raw && what.diskType == .fixed)
        #expect(what.virtualSize == 1_000_001)
        #expect(what.logicalSectorSize == 512 && what.physicalSectorSize == 512 && what.blockSize == 0)
        #expect(what.identifier == nil && what.virtualDiskID == nil && what.parent == nil)
        try write(pages: [], size: 0)
        #expect(try open().description.virtualSize == 0)
    }

    @Test(arguments: 0..<40) func exactlyThePagesThatWereWritten(seed: UInt64) throws {
        guard try hasHoles() else { return }
        var random = RepeatableGenerator(seed: seed)
        let odd = Int.random(in: 0...1, using: &random) * Int.random(in: 0..<1_000, using: &random)
        let pageCount = Int.random(in: 1...400, using: &random)
        let size = UInt64(pageCount * Self.page - min(odd, pageCount * Self.page - 1))
        var written: Set<Int> = []
        for _ in 0..<Int.random(in: 0...40, using: &random) {
            let first = Int.random(in: 0..<pageCount, using: &random)
            written.formUnion(first..<min(pageCount, first + Int.random(in: 1...20, using: &random)))
        }
        try write(pages: written.sorted(), size: size)
        let expected = (0..<Int((size + 511) / 512)).map { written.contains($0 * 512 / Self.page) }
        let image = try open()
        #expect(try sectors(of: image) == expected, "seed \(seed)")
        // Any window says the same as the whole.
        let start = UInt64.random(in: 0..<(size + 32_767) / 32_768, using: &random) * 32_768
        let end = min(size, start + UInt64.random(in: 1...20, using: &random) * 32_768)
        #expect(
            try sectors(of: image, from: start, to: end)
                == Array(expected[Int(start / 512)..<Int((end + 511) / 512)]),
            "seed \(seed)"
        )
    }

    @Test func aLargeHoleIsOneExtent() throws {
        guard try hasHoles() else { return }
        let size: UInt64 = 1 << 40
        try write(pages: [0, 1 << 20], size: size)
        let image = try open()
        var mask = SectorMask()
        let first = try image.extent(at: 0, limit: size, into: &mask)
        #expect(first == .mixed(end: 32 << 20))
        #expect(try image.extent(at: 32 << 20, limit: size, into: &mask) == .uniform(.absent, end: 4 << 30))
        #expect(try image.extent(at: 32 << 20, limit: 1 << 30, into: &mask) == .uniform(.absent, end: 1 << 30))
        #expect(try image.extent(at: 8 << 30, limit: size, into: &mask) == .uniform(.absent, end: size))
    }

    @Test func aWindowThatIsNoneIsRefused() throws {
        try write(pages: [0], size: 100_000)
        let image = try open()
        var mask = SectorMask()
        for (offset, limit) in [(512, 100_000), (0, 512), (100_000, 200_000), (131_072, 131_072), (0, 0)] {
            #expect(throws: ImageError.self) {
                try image.extent(at: UInt64(offset), limit: UInt64(limit), into: &mask)
            }
        }
    }

    /// A guest can write anything to its disk; it must not become another disk by that.
    @Test func theContentNeverMakesItAnotherDisk() throws {
        try VHDXBuilder(virtualSize: 1 << 20, blockSize: 1 << 20).write(to: folder.file("a.raw"))
        #expect(throws: ImageError.self) { try open() }
        let said = try DiskChain.open(folder.file("a.raw"), in: LocalFiles(), saidFormat: .raw)
        #expect(said.format == .raw && said.layers.count == 1)
        // What a child recorded needs nobody to say it.
        try VHDXBuilder(virtualSize: 1 << 20, blockSize: 1 << 20).write(to: folder.file("a.vhdx"))
        for name in ["a.raw", "a.vhdx"] {
            let file = try LocalFiles().open(folder.file(name))
            #expect(try file.openImage(in: LocalFiles(), as: .raw).description.format == .raw)
        }
    }
}

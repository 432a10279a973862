import Foundation
import TestSupport
import Testing

@testable import DiskImages

/// What calls of the writer do to blocks, bits and footers, and what new disks are.
@Suite("Writing VHD images")
struct VHDWriterTests {
    let folder: TemporaryFolder
    let path: String

    init() throws {
        folder = try TemporaryFolder()
        path = folder.file("disk.vhd")
    }

    /// Five blocks of 512 KiB, the last of which is half.
    private let size: UInt64 = (2 << 20) + (256 << 10)

    private func make(_ type: ImageDescription.DiskType) throws {
        let base = type == .differencing ? folder.file("base.vhd") : path
        let creation: VHDCreation =
            type == .fixed ? .fixed(virtualSize: size) : .dynamic(virtualSize: size, blockSize: 512 << 10)
        try creation.create(at: base)
        if type == .differencing { try VHDCreation.differencing(parent: base, blockSize: 512 << 10).create(at: path) }
    }

    private func bytes(_ count: Int) -> [UInt8] { [UInt8](repeating: 0xD7, count: count) }

    private func sectors() throws -> [Range<Int>] {
        let codes = try LayerWalk.codes(of: VHDImage(LocalFiles().open(path)))
        return LayerWalk.ranges(of: .data, in: codes, sectorSize: 1).map { Int($0[0])..<Int($0[0] + $0[1]) }
    }

    @Test func newDisksAreWhatTheyShouldBe() throws {
        for type in [ImageDescription.DiskType.fixed, .dynamic, .differencing] {
            let folder = try TemporaryFolder()
            let test = try VHDWriterTests(folder: folder)
            try test.make(type)
            let what = try LocalFiles().open(test.path).openImage(in: LocalFiles()).description
            #expect(what.format == .vhd)
            #expect(what.diskType == type)
            #expect(what.virtualSize == size)
            #expect(what.logicalSectorSize == 512 && what.physicalSectorSize == 512)
            #expect(what.blockSize == (type == .fixed ? 0 : 512 << 10))
            #expect(what.identifier != nil && what.virtualDiskID == nil)
            #expect(try test.sectors() == (type == .fixed ? [0..<4_608] : []))
            #expect(try DiskChain.check(test.path, in: LocalFiles()).problems.isEmpty)
        }
    }

    private init(folder: TemporaryFolder) throws {
        self.folder = folder
        path = folder.file("disk.vhd")
    }

    @Test func aWriteToADynamicDiskAllocatesWholeBlocks() throws {
        try make(.dynamic)
        let writer = try ImageWriting.open(path)
        #expect(writer.virtualSize == size && writer.logicalSectorSize == 512)
        try writer.write(bytes(1_024), at: (512 << 10) - 512)
        #expect(try sectors() == [0..<2_048])
        // Zeroes where there is nothing need no block; where there is one they are written.
        try writer.writeZeroes(at: 1 << 20, count: size - (1 << 20))
        try writer.writeZeroes(at: 512 << 10, count: 512)
        #expect(try sectors() == [0..<2_048])
        try writer.write(bytes(512), at: size - 512)
        #expect(try sectors() == [0..<2_048, 4_096..<4_608])
        // Data lies on pages of 4 KiB.
        let file = try RawFile(path)
        for block in [UInt64(0), 1, 4] {
            let entry = try file.number(UInt32.self, at: 1_536 + block * 4).byteSwapped
            #expect((UInt64(entry) * 512 + 512) % 4_096 == 0)
        }
    }

    @Test func aWriteToADifferencingDiskSetsTheBitsOfItsSectors() throws {
        try make(.differencing)
        let writer = try ImageWriting.open(path)
        try writer.write(bytes(1_536), at: (512 << 10) - 1_024)
        #expect(try sectors() == [1_022..<1_025])
        try writer.writeZeroes(at: (1 << 20) + 512 * 3, count: 512 * 10)
        #expect(try sectors() == [1_022..<1_025, 2_051..<2_061])
        try writer.write(bytes(512), at: 512 * 1_025)
        try writer.write(bytes(256 << 10), at: 2 << 20)
        #expect(try sectors() == [1_022..<1_026, 2_051..<2_061, 4_096..<4_608])
        let size = try RawFile(path).size
        try writer.writeZeroes(at: 512 * 1_020, count: 512 * 20)
        #expect(try sectors() == [1_020..<1_040, 2_051..<2_061, 4_096..<4_608])
        #expect(try RawFile(path).size == size)
    }

    @Test func aFixedDiskIsWrittenInPlace() throws {
        try make(.fixed)
        let size = try RawFile(path).size
        let writer = try ImageWriting.open(path)
        try writer.write(bytes(1_024), at: 4_096)
        try writer.writeZeroes(at: 4_608, count: 512)
        let file = try RawFile(path)
        #expect(try file.read(at: 4_096, count: 512) == bytes(512))
        #expect(try file.read(at: 4_608, count: 512).allSatisfy { $0 == 0 })
        #expect(file.size == size)
    }

    /// The identity is the disk's and stays; the time is later with every opening that writes.
    @Test func theTimeChangesOnceForEachOpening() throws {
        for type in [ImageDescription.DiskType.fixed, .dynamic, .differencing] {
            let test = try VHDWriterTests(folder: TemporaryFolder())
            try test.make(type)
            func what() throws -> ImageDescription { try VHDImage(LocalFiles().open(test.path)).description }
            let before = try what()
            do {
                let writer = try ImageWriting.open(test.path)
                try writer.write(bytes(0), at: 0)
                #expect(try what().revision == before.revision)
                try writer.write(bytes(512), at: 0)
                let first = try what().revision
                #expect(first != before.revision)
                try writer.write(bytes(512), at: 1 << 20)
                #expect(try what().revision == first)
            }
            let after = try what()
            #expect(after.identifier == before.identifier)
            try ImageWriting.open(test.path).writeZeroes(at: 0, count: 512)
            #expect(try what().revision != after.revision)
            #expect(try DiskChain.check(test.path, in: LocalFiles()).problems.isEmpty)
        }
    }

    @Test func footersOfAllFormsBecomeWhole() throws {
        for cut in [UInt64(0), 1, 300, 512] {
            for length in [511, 512] {
                for type in [UInt32(3), 4] {
                    var builder = VHDBuilder(virtualSize: size, blockSize: 512 << 10)
                    if type == 4 { builder.setParent(GUID(high: 1, low: 1), path: "p.vhd") }
                    builder.blocks = [1: .init(sectors: [5]), 4: .init(sectors: [3])]
                    builder.footerLength = length
                    try builder.write(to: path)
                    try RawFile(path).truncate(to: RawFile(path).size - cut)
                    let old = try sectors()
                    try ImageWriting.open(path).write(bytes(512), at: 0)
                    #expect(try sectors() == (type == 4 ? [0..<1] : [0..<1_024]) + old)
                    let image = try VHDImage(LocalFiles().open(path))
                    var report = ImageCheckReport()
                    try image.check(into: &report)
                    #expect(report.isSound, "\(report)")
                    #expect(image.structure.current.end == image.file.size - 512)
                }
            }
        }
        var builder = VHDBuilder(virtualSize: 4_096)
        builder.type = 2
        builder.footerLength = 511
        try builder.write(to: path)
        try ImageWriting.open(path).write(bytes(512), at: 0)
        #expect(try RawFile(path).size == 4_608)
    }

    /// Blocks of other writers may have room for less than a block at the disk's end.
    @Test func aLastBlockThatIsCutOffIsNotOverwritten() throws {
        var builder = VHDBuilder(virtualSize: size, blockSize: 512 << 10)
        builder.blocks = [4: .init(sectors: Set(0..<512))]
        try builder.write(to: path)
        let file = try RawFile(path)
        try file.truncate(to: file.size - 512 - (256 << 10))
        try file.write(builder.footer(), at: file.size)
        try ImageWriting.open(path).write(bytes(4 << 10), at: 0)
        #expect(try sectors() == [0..<1_024, 4_096..<4_608])
        #expect(try DiskChain.check(path, in: LocalFiles()).problems.isEmpty)
    }

    @Test func wrongOffsetsAndLengthsAreRefusedBeforeAnythingChanges() throws {
        try make(.dynamic)
        let before = try VHDXBytes.content(of: [path])
        let writer = try ImageWriting.open(path)
        for (offset, count) in [(1, 512), (0, 100), (size, 512), (size - 512, 1_024), (.max - 511, 512)]
            as [(UInt64, Int)]
        {
            let wrong = bytes(count)
            let written = refusal { () throws(ImageError) in try writer.write(wrong, at: offset) }
            #expect(written?.code == .invalidParameter)
            let zeroed = refusal { () throws(ImageError) in try writer.writeZeroes(at: offset, count: UInt64(count)) }
            #expect(zeroed?.code == .invalidParameter)
        }
        #expect(try VHDXBytes.content(of: [path]) == before)
    }

    @Test func whatCannotBeTrustedIsNotWrittenTo() throws {
        func code() -> ImageError.Code? { refusal { () throws(ImageError) in _ = try ImageWriting.open(path) }?.code }
        #expect(code() == .fileNotFound)
        var builder = VHDBuilder(virtualSize: size, blockSize: 512 << 10)
        builder.savedState = 1
        try builder.write(to: path)
        #expect(code() == .unsupported)
        builder.savedState = 0
        builder.blocks = [2: .init(entry: 100_000, sectors: [])]
        try builder.write(to: path)
        #expect(code() == .corrupt)
        builder.blocks = [:]
        try builder.write(to: path)
        let writer = try ImageWriting.open(path)
        #expect(code() == .inUse)
        try writer.writeZeroes(at: 0, count: 512)
    }

    @Test func chainsAreFoundAgain() throws {
        try FileManager.default.createDirectory(atPath: folder.file("a/b"), withIntermediateDirectories: true)
        try VHDCreation.fixed(virtualSize: 1 << 20).create(at: folder.file("a/base.vhd"))
        try VHDCreation.differencing(parent: folder.file("a/base.vhd")).create(at: folder.file("a/b/one.avhd"))
        try VHDCreation.differencing(parent: folder.file("a/b/one.avhd"), blockSize: 512 << 10)
            .create(at: folder.file("two ü.avhd"))
        let chain = try DiskChain.open(folder.file("two ü.avhd"), in: LocalFiles())
        #expect(chain.layers.map(\.description.diskType) == [.differencing, .differencing, .fixed])
        #expect(chain.layers.map(\.description.virtualSize) == [1 << 20, 1 << 20, 1 << 20])
        #expect(chain.layers[0].description.parent?.candidates == ["a/b/one.avhd", "one.avhd"])
    }

    @Test func aFailureLeavesNoFile() throws {
        func code(_ creation: VHDCreation, _ name: String) -> ImageError.Code? {
            refusal { () throws(ImageError) in try creation.create(at: folder.file(name)) }?.code
        }
        try RawFile(folder.file("bad.vhd"), create: true).write(Array("conectix".utf8), at: 0)
        try VHDXCreation.dynamic(virtualSize: 1 << 20).create(at: folder.file("p.vhdx"))
        let cases: [(VHDCreation, String, ImageError.Code)] = [
            (.dynamic(virtualSize: 0), "a.vhd", .invalidParameter),
            (.fixed(virtualSize: 513), "a.vhd", .invalidParameter),
            (.dynamic(virtualSize: (2_040 << 30) + 512), "a.vhd", .invalidParameter),
            (.dynamic(virtualSize: .max & ~511), "a.vhd", .invalidParameter),
            (.dynamic(virtualSize: 512, blockSize: 3 << 20), "a.vhd", .invalidParameter),
            (.dynamic(virtualSize: 512, blockSize: 256 << 10), "a.vhd", .invalidParameter),
            (.dynamic(virtualSize: 512, blockSize: 512 << 20), "a.vhd", .invalidParameter),
            (.dynamic(virtualSize: 512), "a.vhdx", .invalidParameter),
            (.dynamic(virtualSize: 512), "none/a.vhd", .fileNotFound),
            (.differencing(parent: folder.file("none.vhd")), "a.vhd", .fileNotFound),
            (.differencing(parent: folder.file("bad.vhd")), "a.vhd", .corrupt),
            (.differencing(parent: folder.file("p.vhdx")), "a.vhd", .unsupported),
        ]
        for (creation, name, expected) in cases {
            #expect(code(creation, name) == expected, "\(name), \(creation)")
            #expect(!FileManager.default.fileExists(atPath: folder.file(name)))
        }
        #expect(code(.dynamic(virtualSize: 512), "bad.vhd") == .alreadyExists)
    }

    @Test func theLargestDisk() throws {
        try VHDCreation.dynamic(virtualSize: 2_040 << 30, blockSize: 512 << 10).create(at: path)
        let last: UInt64 = (2_040 << 30) - 512
        try ImageWriting.open(path, isDurable: false).write(bytes(512), at: last)
        let image = try VHDImage(LocalFiles().open(path))
        var mask = SectorMask()
        let block: UInt64 = (2_040 << 30) - (512 << 10)
        #expect(try image.extent(at: block, limit: 2_040 << 30, into: &mask) == .mixed(end: 2_040 << 30))
    }
}

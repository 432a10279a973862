import TestSupport
import Testing

@testable import DiskImages

/// What calls of the writer do to blocks, bits and headers.
@Suite("Writing VHDX images")
struct VHDXWriterTests {
    let folder: TemporaryFolder
    let path: String

    init() throws {
        folder = try TemporaryFolder()
        path = folder.file("disk.vhdx")
    }

    /// Five blocks of 1 MiB, the last of which is half.
    private func make(differencing: Bool) throws {
        let size: UInt64 = 4 << 20 | 512 << 10
        let base = differencing ? folder.file("base.vhdx") : path
        try VHDXCreation.dynamic(virtualSize: size, blockSize: 1 << 20).create(at: base)
        if differencing { try VHDXCreation.differencing(parent: base, blockSize: 1 << 20).create(at: path) }
    }

    private func bytes(_ count: Int) -> [UInt8] { [UInt8](repeating: 0xD7, count: count) }

    /// The state of each block, as it stands in the table of a new file.
    private func states(_ count: Int = 5) throws -> [UInt64] {
        let file = try RawFile(path)
        return try (0..<count).map { try file.number(UInt64.self, at: (3 << 20) + UInt64($0) * 8) & 7 }
    }

    private func codes() throws -> [UInt8] {
        try LayerWalk.codes(of: VHDXImage(LocalFiles().open(path)))
    }

    @Test func aWriteToADiskWithoutAParentAllocatesWholeBlocks() throws {
        try make(differencing: false)
        let writer = try ImageWriting.open(path)
        try writer.write(bytes(1_024), at: (1 << 20) - 512)
        try writer.write(bytes(512), at: (4 << 20) + (512 << 10) - 512)
        #expect(try states() == [6, 6, 0, 0, 6])
        try writer.writeZeroes(at: 512, count: 512)
        try writer.writeZeroes(at: 2 << 20, count: 1 << 20)
        try writer.writeZeroes(at: 3 << 20, count: 512)
        #expect(try states() == [6, 6, 2, 6, 6])
        try writer.writeZeroes(at: 0, count: writer.virtualSize)
        #expect(try states() == [2, 2, 2, 2, 2])
        try writer.writeZeroes(at: 512, count: 512)
        #expect(try states() == [2, 2, 2, 2, 2])
        try writer.write(bytes(512), at: 0)
        #expect(try states() == [6, 2, 2, 2, 2])
    }

    /// The last block ends with the disk in the file, as some programs leave it: what it would have behind is still its own.
    @Test func aNewBlockIsNotPutOverTheTailOfTheLastOne() throws {
        let blockSize: UInt64 = 4 << 20
        try VHDXCreation.dynamic(virtualSize: 5 << 20, blockSize: UInt32(blockSize)).create(at: path)
        try ImageWriting.open(path).write(bytes(512), at: blockSize)
        func place(_ block: UInt64) throws -> UInt64 {
            try RawFile(path).number(UInt64.self, at: (3 << 20) + block * 8) & ~0xF_FFFF
        }
        let last = try place(1)
        try RawFile(path).truncate(to: last + (1 << 20))
        try ImageWriting.open(path).write(bytes(512), at: 0)
        #expect(try place(0) >= last + blockSize)
        #expect(try DiskChain.check(path, in: LocalFiles()).isSound)
    }

    @Test func aWriteToADifferencingDiskSetsTheBitsOfItsSectors() throws {
        try make(differencing: true)
        let writer = try ImageWriting.open(path)
        try writer.write(bytes(1_536), at: (1 << 20) - 1_024)
        #expect(try states() == [7, 7, 0, 0, 0])
        try writer.writeZeroes(at: (2 << 20) + 4_096, count: 512)
        try writer.writeZeroes(at: 3 << 20, count: 1 << 20)
        try writer.write(bytes(512 << 10), at: 4 << 20)
        #expect(try states() == [7, 7, 7, 2, 6])
        var expected = [UInt8](repeating: LayerWalk.code(.absent), count: 9_216)
        for sector in [2_046, 2_047, 2_048, 4_104] { expected[sector] = LayerWalk.code(.data) }
        for sector in 6_144..<8_192 { expected[sector] = LayerWalk.code(.zero) }
        for sector in 8_192..<9_216 { expected[sector] = LayerWalk.code(.data) }
        #expect(try codes() == expected)
        // All of a block at once: its bits do not count any more.
        try writer.write(bytes(1 << 20), at: 0)
        try writer.writeZeroes(at: 1 << 20, count: 1 << 20)
        #expect(try states() == [6, 2, 7, 2, 6])
        // What is zero here is not the parent's, whatever is written beside it.
        try writer.write(bytes(512), at: 3 << 20)
        #expect(try states() == [6, 2, 7, 6, 6])
    }

    /// A crash can leave bits of a block that never became present.
    @Test func oldBitsOfABlockThatIsNotPresentDoNotCount() throws {
        var builder = VHDXBuilder(virtualSize: 4 << 20, blockSize: 1 << 20)
        builder.setParent(GUID(high: 1, low: 1), path: "base.vhdx")
        builder.blocks = [1: .init(state: 0, sectors: [0, 5, 9, 2_047])]
        try builder.write(to: path)
        try ImageWriting.open(path).write(bytes(512), at: (1 << 20) + 5 * 512)
        let codes = try codes()
        #expect(codes.indices.filter { codes[$0] == LayerWalk.code(.data) } == [2_053])
    }

    @Test func undefinedAndUnmappedBlocksBecomeWholeBlocks() throws {
        for state: UInt64 in [1, 3] {
            for isZero in [false, true] {
                var builder = VHDXBuilder(virtualSize: 4 << 20, blockSize: 1 << 20)
                builder.setParent(GUID(high: 1, low: 1), path: "base.vhdx")
                builder.blocks = [1: .init(state: state), 2: .init(state: state)]
                try builder.write(to: path)
                let writer = try ImageWriting.open(path)
                if isZero {
                    try writer.writeZeroes(at: (1 << 20) + 512, count: (1 << 20) + 512)
                } else {
                    try writer.write(bytes((1 << 20) + 512), at: (1 << 20) + 512)
                }
                #expect(try states(4) == [0, 6, 6, 0], "state \(state)")
            }
        }
    }

    @Test func aFixedDiskKeepsItsBlocks() throws {
        var builder = VHDXBuilder(virtualSize: 2 << 20, blockSize: 1 << 20)
        builder.parameterFlags = 1
        builder.blocks = [0: .init(state: 6), 1: .init(state: 6)]
        try builder.write(to: path)
        let file = try RawFile(path)
        let size = file.size
        try file.write(bytes(1 << 20), at: 4 << 20)
        try ImageWriting.open(path).writeZeroes(at: 0, count: 2 << 20)
        #expect(try states(2) == [6, 6])
        #expect(file.size == size)
        #expect(try file.read(at: 4 << 20, count: 1 << 20).allSatisfy { $0 == 0 })
    }

    /// The procedure of 2.2.2.1: both headers, one after the other, before anything else, once for each opening.
    @Test func headersChangeOnceForEachOpening() throws {
        try make(differencing: false)
        func headers() throws -> [VHDXHeader] {
            let file = try RawFile(path)
            var headers: [VHDXHeader] = []
            for offset in VHDXFormat.headerOffsets {
                let bytes = try file.read(at: offset, count: 4_096)
                if let header = try VHDXHeader(bytes.span.bytes) { headers.append(header) }
            }
            return headers
        }
        let start = try headers()
        #expect(start.map(\.sequenceNumber) == [1, 2])
        do {
            let writer = try ImageWriting.open(path)
            try writer.write(bytes(0), at: 0)
            #expect(try headers() == start)
            try writer.write(bytes(512), at: 0)
            let changed = try headers()
            #expect(changed.map(\.sequenceNumber) == [3, 4])
            #expect(changed[0].fileWriteGUID == changed[1].fileWriteGUID)
            #expect(changed[0].dataWriteGUID == changed[1].dataWriteGUID)
            #expect(changed[0].fileWriteGUID != start[0].fileWriteGUID)
            #expect(changed[0].dataWriteGUID != start[0].dataWriteGUID)
            #expect(changed.allSatisfy { $0.logGUID == .zero })
            try writer.write(bytes(512), at: 512)
            try writer.writeZeroes(at: 0, count: 1 << 20)
            #expect(try headers() == changed)
        }
        let before = try headers()
        do { _ = try ImageWriting.open(path) }
        #expect(try headers() == before)
        try ImageWriting.open(path).writeZeroes(at: 0, count: 512)
        #expect(try headers()[0].dataWriteGUID != before[0].dataWriteGUID)
        #expect(try headers().map(\.sequenceNumber) == [5, 6])
    }

    @Test func oneWriterAtATime() throws {
        try make(differencing: false)
        var writer: (any ImageWriter)? = try ImageWriting.open(path)
        #expect(refusal { () throws(ImageError) in _ = try ImageWriting.open(path) }?.code == .inUse)
        // Readers are not locked out.
        #expect(try DiskChain.open(path, in: LocalFiles()).layers.count == 1)
        try writer?.writeZeroes(at: 0, count: 512)
        writer = nil
        #expect(refusal { () throws(ImageError) in _ = try ImageWriting.open(path) } == nil)
    }

    @Test func wrongOffsetsAndLengthsAreRefusedBeforeAnythingChanges() throws {
        try make(differencing: false)
        let before = try RawFile(path).read(at: 0, count: 1 << 20)
        let writer = try ImageWriting.open(path)
        let size = writer.virtualSize
        for (offset, count) in [(1, 512), (0, 100), (size, 512), (size - 512, 1_024), (.max - 511, 512)]
            as [(UInt64, Int)]
        {
            let refusals = [
                refusal { () throws(ImageError) in try writer.write(bytes(count), at: offset) },
                refusal { () throws(ImageError) in try writer.writeZeroes(at: offset, count: UInt64(count)) },
            ]
            #expect(refusals.allSatisfy { $0?.code == .invalidParameter }, "\(count) bytes at \(offset)")
        }
        #expect(refusal { () throws(ImageError) in try writer.writeZeroes(at: 512, count: .max - 511) } != nil)
        try writer.write(bytes(0), at: size)
        #expect(try RawFile(path).read(at: 0, count: 1 << 20) == before)
    }

    @Test func whatCannotBeTrustedIsNotWrittenTo() throws {
        func code() -> ImageError.Code? { refusal { () throws(ImageError) in _ = try ImageWriting.open(path) }?.code }
        #expect(code() == .fileNotFound)
        try RawFile(path, create: true).write(Array("text".utf8), at: 0)
        #expect(code() == .notADisk)
        var builder = VHDXBuilder(virtualSize: 4 << 20, blockSize: 1 << 20)
        builder.logGUID = GUID(high: 1, low: 1)
        try builder.write(to: path)
        #expect(code() == .corrupt)
        builder.logGUID = .zero
        // An entry beyond the end would lead to something as soon as the file grows.
        builder.blocks = [3: .init(state: 6, offset: 100 << 20)]
        try builder.write(to: path)
        #expect(code() == .corrupt)
        builder.blocks = [2: .init(state: 6, offset: 4 << 20), 3: .init(state: 6, offset: 4 << 20)]
        try builder.write(to: path)
        try RawFile(path).truncate(to: 8 << 20)
        #expect(code() == .corrupt)
    }

    @Test func aDiskOfSeveralChunksGetsABitmapForEach() throws {
        let size: UInt64 = 9 << 30
        try VHDXCreation.dynamic(virtualSize: size).create(at: folder.file("base.vhdx"))
        try VHDXCreation.differencing(parent: folder.file("base.vhdx")).create(at: path)
        let offsets: [UInt64] = [0, (4 << 30) - 512, 4 << 30, size - 512]
        do {
            let writer = try ImageWriting.open(path)
            for offset in offsets { try writer.write(bytes(512), at: offset) }
        }
        let codes = try codes()
        #expect(codes.indices.filter { codes[$0] == LayerWalk.code(.data) } == offsets.map { Int($0 / 512) })
        #expect(try DiskChain.check(path, in: LocalFiles()).problems.isEmpty)
    }
}

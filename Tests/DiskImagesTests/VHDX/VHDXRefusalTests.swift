import TestSupport
import Testing

@testable import DiskImages

/// What is not as the specification says, field by field, and how it is refused.
@Suite("VHDX refusals")
struct VHDXRefusalTests {
    struct Fault: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var code: ImageError.Code
        var damage: @Sendable (inout VHDXBuilder) -> Void

        init(_ name: String, _ code: ImageError.Code, _ damage: @escaping @Sendable (inout VHDXBuilder) -> Void) {
            testDescription = name
            self.code = code
            self.damage = damage
        }
    }

    static let unknown = GUID(high: 0x0BAD_0BAD_0BAD_4BAD, low: 0x8BAD_0BAD_0BAD_0BAD)

    static func region(
        _ offset: UInt64,
        _ length: UInt32,
        required: UInt32 = 0,
        id: GUID = unknown
    ) -> VHDXBuilder.Region {
        VHDXBuilder.Region(id: id, offset: offset, length: length, required: required)
    }

    static let structural: [Fault] = [
        Fault("version 2", .unsupported) { $0.version = 2 },
        Fault("log version 1", .unsupported) {
            $0.logVersion = 1
            $0.logGUID = GUID(high: 1, low: 1)
        },
        Fault("a log without an entry", .corrupt) { $0.logGUID = GUID(high: 1, low: 1) },
        Fault("no log where one is to be replayed", .corrupt) {
            $0.logGUID = GUID(high: 1, low: 1)
            $0.logLength = 0
        },
        Fault("log offset between mebibytes", .corrupt) { $0.logOffset += 4_096 },
        Fault("log length between mebibytes", .corrupt) { $0.logLength += 4_096 },
        Fault("log in the header section", .corrupt) { $0.logOffset = 0 },
        Fault("log beyond the end", .corrupt) { $0.logOffset = 1 << 40 },
        Fault("log offset near the largest number", .corrupt) { $0.logOffset = 0xFFFF_FFFF_FFF0_0000 },
        Fault("log over the metadata", .corrupt) { $0.logLength = 2 << 20 },
        Fault("an unknown required region", .unsupported) {
            $0.extraRegions = [region(20 << 20, 1 << 20, required: 1)]
        },
        Fault("a region over the log", .corrupt) { $0.extraRegions = [region(1 << 20, 1 << 20)] },
        Fault("a region between mebibytes", .corrupt) { $0.extraRegions = [region(6 << 20 + 512, 1 << 20)] },
        Fault("a region of odd length", .corrupt) { $0.extraRegions = [region(6 << 20, 512)] },
        Fault("an empty region", .corrupt) { $0.extraRegions = [region(6 << 20, 0)] },
        Fault("a region in the header section", .corrupt) { $0.extraRegions = [region(0, 1 << 20)] },
        Fault("a region beyond the end", .corrupt) { $0.extraRegions = [region(1 << 40, 1 << 20)] },
        Fault("a region twice", .corrupt) {
            $0.extraRegions = [region(6 << 20, 1 << 20, id: VHDXBuilder.metadataID)]
        },
        Fault("block size 512 KiB", .corrupt) { $0.blockSize = 1 << 19 },
        Fault("block size 512 MiB", .corrupt) { $0.blockSize = 1 << 29 },
        Fault("block size 3 MiB", .corrupt) { $0.blockSize = 3 << 20 },
        Fault("unknown file parameters", .unsupported) { $0.parameterFlags |= 4 },
        Fault("logical sectors of 1024", .corrupt) { $0.logicalSectorSize = 1_024 },
        Fault("physical sectors of 0", .corrupt) { $0.physicalSectorSize = 0 },
        Fault("an unknown required item", .unsupported) {
            $0.extraItems = [.init(id: unknown, bytes: [1], flags: 4)]
        },
        Fault("an unknown required item of a user", .unsupported) {
            $0.extraItems = [.init(id: unknown, bytes: [1], flags: 5)]
        },
        Fault("an item twice", .corrupt) {
            $0.extraItems = [.init(id: unknown, bytes: [1], flags: 0), .init(id: unknown, bytes: [2], flags: 0)]
        },
        Fault("too many items of users", .corrupt) {
            $0.extraItems = (0..<1_025).map { .init(id: GUID(high: 7, low: $0), bytes: [], flags: 1) }
        },
        Fault("no parent locator", .corrupt) { $0.locator = [] },
        Fault("a locator of another type", .unsupported) { $0.locatorType = unknown },
        Fault("no linkage", .corrupt) { $0.locator.removeFirst() },
        Fault("a zero linkage", .corrupt) { $0.locator[0].value = GUID.zero.description },
        Fault("a linkage that is no GUID", .corrupt) { $0.locator[0].value = "parent" },
        Fault("no path", .corrupt) { $0.locator.removeLast() },
        Fault("a key twice", .corrupt) { $0.locator.append($0.locator[1]) },
        Fault("a path with a zero character", .corrupt) { $0.locator[1].value = "parent.vhdx\0" },
        Fault("a path that leads to no file", .corrupt) { $0.locator[1].value = "..\\" },
    ]

    @Test(arguments: structural) func refused(fault: Fault) throws {
        let folder = try TemporaryFolder()
        var builder = VHDXBuilder(virtualSize: 8 << 20, blockSize: 1 << 20)
        builder.setParent(GUID(high: 1, low: 1), path: "parent.vhdx")
        fault.damage(&builder)
        let blockSizeIsOdd = !(20...28).map { UInt32(1) << $0 }.contains(builder.blockSize)
        if blockSizeIsOdd || builder.logicalSectorSize == 1_024 {
            // The builder lays out the table by the size it is given; any good one will do.
            let wrong = builder
            try wrong.write(to: folder.file("a.vhdx"))
        } else {
            builder.blocks = [0: .init(state: 6)]
            try builder.write(to: folder.file("a.vhdx"))
        }
        let file = try LocalFiles().open(folder.file("a.vhdx"))
        do throws(ImageError) {
            _ = try VHDXImage(file)
            Issue.record("\(fault.testDescription) is accepted")
        } catch {
            #expect(error.code == fault.code, "\(error)")
            #expect(error.path == folder.file("a.vhdx"))
            #expect(error.offset != nil)
        }
    }

    static let sizes: [(size: UInt64, isGood: Bool)] = [
        (0, false), (511, false), (513, false), (512, true), ((64 << 40) + 512, false), (.max & ~511, false),
    ]

    @Test(arguments: sizes) func virtualSizes(size: UInt64, isGood: Bool) throws {
        let folder = try TemporaryFolder()
        let builder = VHDXBuilder(virtualSize: 1 << 20, blockSize: 1 << 20)
        try builder.write(to: folder.file("a.vhdx"))
        // The second item: behind the table of 64 KiB and the eight bytes of the file parameters.
        try RawFile(folder.file("a.vhdx")).write(number: size, at: VHDXBuilder.metadataOffset + 65_536 + 8)
        if isGood {
            #expect(try VHDXImage(LocalFiles().open(folder.file("a.vhdx"))).description.virtualSize == size)
        } else {
            #expect(throws: ImageError.self) { try VHDXImage(LocalFiles().open(folder.file("a.vhdx"))) }
        }
    }

    @Test func aBlockTableTooSmallForTheDiskIsRefused() throws {
        let folder = try TemporaryFolder()
        try VHDXBuilder(virtualSize: 1 << 20, blockSize: 1 << 20).write(to: folder.file("a.vhdx"))
        try RawFile(folder.file("a.vhdx")).write(number: UInt64(1) << 40, at: VHDXBuilder.metadataOffset + 65_536 + 8)
        do throws(ImageError) {
            _ = try VHDXImage(LocalFiles().open(folder.file("a.vhdx")))
            Issue.record("a table of 1 MiB is taken for a disk of 1 TiB")
        } catch {
            #expect(error.code == .corrupt)
            #expect(error.detailCode == 0xC03A_000A)
        }
    }

    @Test func whatIsUnusualAndAllowedIsAccepted() throws {
        let folder = try TemporaryFolder()
        var builder = VHDXBuilder(virtualSize: 1 << 20, blockSize: 1 << 20)
        builder.knownRegionsRequired = 0
        builder.blocks = [0: .init(state: 6)]
        builder.extraRegions = [Self.region(4 << 20, 1 << 20)]
        builder.blocks[0]?.offset = 5 << 20
        builder.extraItems = [
            .init(id: Self.unknown, bytes: [1, 2], flags: 0), .init(id: Self.unknown, bytes: [], flags: 1),
        ]
        try builder.write(to: folder.file("a.vhdx"))
        try RawFile(folder.file("a.vhdx")).truncate(to: 6 << 20)
        let codes = try LayerWalk.codes(of: VHDXImage(LocalFiles().open(folder.file("a.vhdx"))))
        #expect(codes.allSatisfy { $0 == LayerWalk.code(.data) })
    }

    @Test func equalHeadersAreAccepted() throws {
        let folder = try TemporaryFolder()
        var builder = VHDXBuilder(virtualSize: 1 << 20, blockSize: 1 << 20)
        builder.sequenceNumbers = [1, 1]
        try builder.write(to: folder.file("a.vhdx"))
        let file = try LocalFiles().open(folder.file("a.vhdx"))
        #expect(try VHDXImage(file).description.identifier == builder.dataWriteGUID)
        // The same number and another identity: nobody can say which of the two counts.
        let other = try RawFile(folder.file("b.vhdx"), create: true)
        builder.dataWriteGUID = GUID(high: 5, low: 5)
        try builder.write(to: folder.file("b.vhdx"))
        try other.write(try file.bytes(at: 64 << 10, count: 4_096), at: 64 << 10)
        #expect(throws: ImageError.self) { try VHDXImage(LocalFiles().open(folder.file("b.vhdx"))) }
    }

    @Test func theHeaderWithTheHigherNumberCounts() throws {
        let folder = try TemporaryFolder()
        var builder = VHDXBuilder(virtualSize: 1 << 20, blockSize: 1 << 20)
        for (numbers, expectsFirst) in [([4, 3], true), ([3, 4], false), ([.max, 1], true)] as [([UInt64], Bool)] {
            builder.sequenceNumbers = numbers
            builder.dataWriteGUID = GUID(high: 1, low: 1)
            try builder.write(to: folder.file("a.vhdx"))
            let first = try RawFile(folder.file("a.vhdx")).read(at: 64 << 10, count: 4_096)
            builder.dataWriteGUID = GUID(high: 2, low: 2)
            try builder.write(to: folder.file("a.vhdx"))
            try RawFile(folder.file("a.vhdx")).write(first, at: 64 << 10)
            let identifier = try VHDXImage(LocalFiles().open(folder.file("a.vhdx"))).description.identifier
            #expect(identifier == (expectsFirst ? GUID(high: 1, low: 1) : GUID(high: 2, low: 2)))
        }
    }

    @Test func regionTablesThatDisagreeAreRefused() throws {
        let folder = try TemporaryFolder()
        var builder = VHDXBuilder(virtualSize: 1 << 20, blockSize: 1 << 20)
        builder.blocks = [0: .init(state: 6)]
        builder.extraRegions = [Self.region(4 << 20, 1 << 20)]
        try builder.write(to: folder.file("b.vhdx"))
        let table = try RawFile(folder.file("b.vhdx")).read(at: 256 << 10, count: 65_536)
        builder.extraRegions = []
        try builder.write(to: folder.file("a.vhdx"))
        try RawFile(folder.file("a.vhdx")).write(table, at: 256 << 10)
        #expect(throws: ImageError.self) { try VHDXImage(LocalFiles().open(folder.file("a.vhdx"))) }
    }

    struct EntryFault: Sendable {
        var word: UInt64
        var detailCode: UInt32 = 0xC03A_000A
        var isDifferencing = true
    }

    static let entries: [EntryFault] = [
        EntryFault(word: 4), EntryFault(word: 5), EntryFault(word: 6), EntryFault(word: 7),
        EntryFault(word: 6 | 1 << 20), EntryFault(word: 6 | 2 << 20), EntryFault(word: 6 | 3 << 20),
        EntryFault(word: 7 | 3 << 20), EntryFault(word: 6 | 1 << 40), EntryFault(word: 6 | 0xFFFF_FFFF_FFF0_0000),
        EntryFault(word: 6 | 4 << 20 | 8), EntryFault(word: 2 | 1 << 19),
        EntryFault(word: 7 | 4 << 20, isDifferencing: false),
        EntryFault(word: 7 | 4 << 20, detailCode: 0xC03A_000C),
    ]

    /// What comes before the damaged entry is told, and the refusal comes when it is reached.
    @Test(arguments: entries) func damagedEntriesAreRefusedWhenTheyAreReached(fault: EntryFault) throws {
        let folder = try TemporaryFolder()
        var builder = VHDXBuilder(virtualSize: 8 << 20, blockSize: 1 << 20)
        if fault.isDifferencing { builder.setParent(GUID(high: 1, low: 1), path: "parent.vhdx") }
        builder.blocks = [0: .init(state: 6), 1: .init(state: 6), 3: .init(state: 6)]
        try builder.write(to: folder.file("a.vhdx"))
        try RawFile(folder.file("a.vhdx")).write(number: fault.word, at: builder.placeOfEntry(block: 2))
        let image = try VHDXImage(LocalFiles().open(folder.file("a.vhdx")))
        var mask = SectorMask()
        #expect(try image.extent(at: 0, limit: 8 << 20, into: &mask) == .uniform(.data, end: 2 << 20))
        #expect(try image.extent(at: 3 << 20, limit: 8 << 20, into: &mask) == .uniform(.data, end: 4 << 20))
        do throws(ImageError) {
            let extent = try image.extent(at: 2 << 20, limit: 8 << 20, into: &mask)
            Issue.record("the entry \(fault.word) says \(extent)")
        } catch {
            #expect(error.code == .corrupt)
            #expect(error.detailCode == fault.detailCode, "\(error)")
            #expect(error.path == folder.file("a.vhdx"))
            #expect(error.offset != nil)
        }
    }

    @Test(arguments: [0, 1, 5, 7, 6, 6 | 2 << 20, 6 | 1 << 40, 6 | 5 << 20 | 64] as [UInt64])
    func damagedBitmapEntriesAreRefused(word: UInt64) throws {
        let folder = try TemporaryFolder()
        var builder = VHDXBuilder(virtualSize: 8 << 20, blockSize: 1 << 20)
        builder.setParent(GUID(high: 1, low: 1), path: "parent.vhdx")
        builder.blocks = [0: .init(state: 6), 2: .init(state: 7, sectors: [1])]
        try builder.write(to: folder.file("a.vhdx"))
        try RawFile(folder.file("a.vhdx")).write(number: word, at: builder.placeOfEntry(bitmap: 0))
        let image = try VHDXImage(LocalFiles().open(folder.file("a.vhdx")))
        var mask = SectorMask()
        #expect(try image.extent(at: 0, limit: 8 << 20, into: &mask) == .uniform(.data, end: 1 << 20))
        do throws(ImageError) {
            _ = try image.extent(at: 2 << 20, limit: 8 << 20, into: &mask)
            Issue.record("the bitmap's entry \(word) is accepted")
        } catch {
            #expect(error.code == .corrupt)
        }
    }
}

import TestSupport
import Testing

@testable import DiskImages

/// The limits of the metadata table, the region table and the parent locator ([MS-VHDX] 2.2.3 and 2.6), one field at a time.
@Suite("VHDX limits")
struct VHDXLimitTests {
    static let table = VHDXBuilder.metadataOffset
    /// Behind the items of 8, 8, 16, 4 and 4 bytes.
    static let locator = table + 65_536 + 40

    struct Change: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var code: ImageError.Code
        var offset: UInt64
        var bytes: [UInt8]

        init(_ name: String, _ code: ImageError.Code, at offset: UInt64, _ bytes: [UInt8]) {
            testDescription = name
            self.code = code
            self.offset = offset
            self.bytes = bytes
        }

        /// A field of entry `index` of the metadata table.
        static func entry(
            _ name: String,
            _ code: ImageError.Code,
            _ index: UInt64,
            _ field: UInt64,
            _ bytes: [UInt8]
        ) -> Change {
            Change(name, code, at: table + 32 + index * 32 + field, bytes)
        }
    }

    static let changes: [Change] = [
        Change("another signature", .corrupt, at: table, [0x4D]),
        Change("a reserved field of the table", .unsupported, at: table + 8, [1]),
        Change("another reserved field of the table", .unsupported, at: table + 12, [1]),
        Change("the last reserved byte of the table", .unsupported, at: table + 31, [0x80]),
        Change("more items than there can be", .corrupt, at: table + 10, [0, 8]),
        Change("items that are not there", .corrupt, at: table + 10, [0xFF, 7]),
        .entry("a reserved flag", .unsupported, 1, 24, [6 | 8]),
        .entry("the last reserved flag", .unsupported, 1, 27, [0x80]),
        .entry("a reserved field of an item", .unsupported, 1, 28, [1]),
        .entry("an item inside the table", .corrupt, 0, 16, [0, 0xFF, 0, 0]),
        .entry("an item behind the region", .corrupt, 0, 16, [0, 0, 0x10, 0]),
        .entry("an item over the region's end", .corrupt, 0, 16, [0xFC, 0xFF, 0x0F, 0]),
        .entry("an item that is too long", .corrupt, 5, 20, [1, 0, 0x10, 0]),
        .entry("the longest item", .corrupt, 5, 20, [0xFF, 0xFF, 0xFF, 0xFF]),
        .entry("an item over another", .corrupt, 0, 16, [4, 0, 1, 0]),
        .entry("an empty item with a place", .corrupt, 0, 20, [0]),
        .entry("a required item without content", .corrupt, 0, 16, [0, 0, 0, 0, 0]),
        .entry("an item of a wrong length", .corrupt, 0, 20, [7]),
        .entry("a required item of a user", .unsupported, 0, 24, [5]),
        Change("a reserved field of the locator", .unsupported, at: locator + 16, [1]),
        Change("a locator without entries", .corrupt, at: locator + 18, [0]),
        Change("a locator with more entries than fit", .corrupt, at: locator + 18, [0xFF, 0xFF]),
        Change("a key without a place", .corrupt, at: locator + 20, [0, 0, 0, 0]),
        Change("a value without a place", .corrupt, at: locator + 24, [0, 0, 0, 0]),
        Change("an empty key", .corrupt, at: locator + 28, [0, 0]),
        Change("an empty value", .corrupt, at: locator + 30, [0, 0]),
        Change("a key behind the item", .corrupt, at: locator + 20, [0, 0, 1, 0]),
        Change("a value behind the item", .corrupt, at: locator + 24, [0xFF, 0xFF, 0xFF, 0xFF]),
        Change("a key of odd length", .corrupt, at: locator + 28, [27]),
    ]

    private func expectRefused(_ path: String, _ code: ImageError.Code, _ name: String) throws {
        let file = try LocalFiles().open(path)
        do throws(ImageError) {
            _ = try VHDXImage(file)
            Issue.record("\(name) is accepted")
        } catch {
            #expect(error.code == code, "\(name): \(error)")
            #expect(error.path == path)
            #expect(error.offset != nil)
        }
    }

    private func builder() -> VHDXBuilder {
        var builder = VHDXBuilder(virtualSize: 4 << 20, blockSize: 1 << 20)
        builder.setParent(GUID(high: 1, low: 1), path: "parent.vhdx")
        builder.blocks = [0: .init(state: 6)]
        return builder
    }

    @Test(arguments: changes) func fieldsOutsideTheirLimitsAreRefused(change: Change) throws {
        let folder = try TemporaryFolder()
        let path = folder.file("a.vhdx")
        try builder().write(to: path)
        #expect(throws: Never.self) { try VHDXImage(LocalFiles().open(path)) }
        try RawFile(path).write(change.bytes, at: change.offset)
        try expectRefused(path, change.code, change.testDescription)
    }

    @Test func keysOfTheLocatorAreThereOnceAndTheFirstLinkageIs() throws {
        let folder = try TemporaryFolder()
        let path = folder.file("a.vhdx")
        var builder = builder()
        builder.locator.append(("somebody's", "value"))
        try builder.write(to: path)
        #expect(throws: Never.self) { try VHDXImage(LocalFiles().open(path)) }
        builder.locator.append(("somebody's", "other"))
        try builder.write(to: path)
        try expectRefused(path, .corrupt, "a key of somebody's twice")
        builder.locator.removeLast()
        // The second alone does not do, whatever it says.
        builder.locator[0].key = "parent_linkage2"
        try builder.write(to: path)
        try expectRefused(path, .corrupt, "no first linkage")
        // Keys have a case.
        builder.locator[0].key = "Parent_Linkage"
        try builder.write(to: path)
        try expectRefused(path, .corrupt, "a linkage in capitals")
        // The first may be a zero that stands for none, where the second says which disk it is.
        builder.locator[0] = ("parent_linkage", GUID.zero.description)
        builder.locator.append(("parent_linkage2", GUID(high: 3, low: 3).description))
        try builder.write(to: path)
        let parent = try VHDXImage(LocalFiles().open(path)).description.parent
        #expect(parent?.identifiers == [GUID(high: 3, low: 3)])
    }

    /// 2.2.3.1: at most 2,047 entries, of which the last ends before the table does.
    @Test(arguments: [(UInt32(2_047), true), (2_048, false), (.max, false)])
    func regionCounts(count: UInt32, isAllowed: Bool) throws {
        let folder = try TemporaryFolder()
        let path = folder.file("a.vhdx")
        var builder = builder()
        builder.blocks = [:]
        builder.extraRegions = (0..<2_045).map { index in
            let id = GUID(high: 7, low: UInt64(index))
            return .init(id: id, offset: UInt64(8 + index) << 20, length: 1 << 20, required: 0)
        }
        try builder.write(to: path)
        let file = try RawFile(path)
        try file.truncate(to: 2_053 << 20)
        for offset: UInt64 in [192 << 10, 256 << 10] {
            var table = try file.read(at: offset, count: 65_536)
            for index in 0..<4 { table[8 + index] = UInt8(truncatingIfNeeded: count >> UInt32(index * 8)) }
            try file.write(VHDXBuilder.checksummed(table, length: 65_536), at: offset)
        }
        if isAllowed {
            let image = try VHDXImage(LocalFiles().open(path))
            #expect(image.structure.regions.occupied.count == 2_048)
        } else {
            try expectRefused(path, .corrupt, "\(count) regions")
        }
    }

    /// 2.2.1: what is behind the signature is for people.
    @Test func theCreatorDoesNotMatter() throws {
        let folder = try TemporaryFolder()
        let path = folder.file("a.vhdx")
        try builder().write(to: path)
        try RawFile(path).write([UInt8](repeating: 0xFF, count: 65_528), at: 8)
        #expect(throws: Never.self) { try VHDXImage(LocalFiles().open(path)) }
    }

    /// 2.5: the table has an entry for the last block, and in a differencing disk for the bitmap of every chunk.
    @Test func theBlockTableIsLongEnough() throws {
        let folder = try TemporaryFolder()
        // Chunks of 4,096 blocks: the table of 1 MiB has 131,072 entries, 31 chunks and a rest.
        let last: UInt64 = (131_072 - 31) << 20
        for (isDifferencing, size, isEnough) in [
            (false, last, true), (false, last + 512, false), (true, 31 * 4_096 << 20, true),
            (true, (31 * 4_096 << 20) + 512, false),
        ] as [(Bool, UInt64, Bool)] {
            let path = folder.file("a.vhdx")
            var builder = VHDXBuilder(virtualSize: 1 << 20, blockSize: 1 << 20)
            if isDifferencing { builder.setParent(GUID(high: 1, low: 1), path: "parent.vhdx") }
            try builder.write(to: path)
            try RawFile(path).write(number: size, at: VHDXBuilder.metadataOffset + 65_536 + 8)
            if isEnough {
                let image = try VHDXImage(LocalFiles().open(path))
                #expect(image.structure.geometry.entryCount * 8 <= 1 << 20)
            } else {
                try expectRefused(path, .corrupt, "a disk of \(size) bytes")
            }
        }
    }
}

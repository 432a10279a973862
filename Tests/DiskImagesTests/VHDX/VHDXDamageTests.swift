import TestSupport
import Testing

@testable import DiskImages

/// Every bit that matters of a small chain, flipped, and the file cut short everywhere.
///
/// Whatever happens, the answer is the undamaged one, a refusal, or, in the two structures that have no checksum of their
/// own and say what is where, exactly what the changed bits say.
@Suite("Damaged VHDX images")
struct VHDXDamageTests {
    let folder: TemporaryFolder
    let path: String
    let builder: VHDXBuilder
    let disk: DamagedDisk
    var undamaged: [UInt8] { disk.undamaged }

    init() throws {
        folder = try TemporaryFolder()
        path = folder.file("child.vhdx")
        var parent = VHDXBuilder(virtualSize: 6 << 20, blockSize: 1 << 20)
        parent.dataWriteGUID = GUID(high: 0xABCD, low: 0x1234)
        try parent.write(to: folder.file("parent.vhdx"))
        var child = VHDXBuilder(virtualSize: 6 << 20, blockSize: 1 << 20)
        child.setParent(parent.dataWriteGUID, path: ".\\parent.vhdx")
        child.blocks = [
            0: .init(state: 6), 1: .init(state: 7, sectors: [0, 5, 77, 2_047]), 2: .init(state: 2),
            3: .init(state: 3), 4: .init(state: 1),
        ]
        try child.write(to: path)
        builder = child
        disk = try DamagedDisk(path)
    }

    private func expectUndamagedOrRefused(_ offsets: some Sequence<UInt64>) throws {
        for offset in offsets {
            let change = UInt8(1) << UInt8(offset % 8)
            if let answer = try disk.answer(flipping: change, at: offset), !answer.isSame(as: undamaged) {
                Issue.record("bit \(offset % 8) of the byte at \(offset) changes the answer")
            }
        }
    }

    @Test func identifierHeadersAndRegionTables() throws {
        try expectUndamagedOrRefused(0..<16)
        for start: UInt64 in [64 << 10, 128 << 10] {
            try expectUndamagedOrRefused(start..<start + 100)
            try expectUndamagedOrRefused(stride(from: start + 100, to: start + 4_096, by: 199))
        }
        for start: UInt64 in [192 << 10, 256 << 10] {
            try expectUndamagedOrRefused(start..<start + 90)
            try expectUndamagedOrRefused(stride(from: start + 90, to: start + 65_536, by: 2_111))
        }
    }

    @Test func bothCopiesDamagedIsRefused() throws {
        let file = try RawFile(path)
        for copies in [[UInt64(64 << 10), 128 << 10], [192 << 10, 256 << 10]] {
            for field in [UInt64(0), 4, 9, 20, 60] {
                let before = try copies.map { try file.read(at: $0 + field, count: 1)[0] }
                for (copy, byte) in zip(copies, before) { try file.write([byte ^ 0x10], at: copy + field) }
                #expect(try disk.answer() == nil)
                for (copy, byte) in zip(copies, before) { try file.write([byte], at: copy + field) }
            }
        }
        #expect(try disk.answer() == undamaged)
    }

    /// The metadata has no checksum. A flipped bit of the disk's size can give another size that is as good; every other
    /// field has redundancy, or does not bear on the answer.
    @Test func metadata() throws {
        let table = VHDXBuilder.metadataOffset
        try expectUndamagedOrRefused(table..<table + 32 * 8)
        let items = table + 65_536
        for bit in 0..<8 {
            for offset in items..<items + 400 {
                let isSize = offset >= items + 8 && offset < items + 16
                let answer = try disk.answer(flipping: 1 << UInt8(bit), at: offset)
                if let answer, isSize {
                    let common = min(answer.count, undamaged.count)
                    #expect(answer[..<common] == undamaged[..<common])
                    #expect(answer.count != undamaged.count)
                } else if let answer, !answer.isSame(as: undamaged) {
                    Issue.record("bit \(bit) of the byte at \(offset) changes the answer")
                }
            }
        }
    }

    @Test func blockAllocationTable() throws {
        let content: [UInt64: SectorContent] = [0: .absent, 1: .data, 2: .zero, 3: .unmapped]
        let perBlock = 2_048
        for block in 0..<6 {
            let place = builder.placeOfEntry(block: block)
            let word = try RawFile(path).number(UInt64.self, at: place)
            for bit in 0..<UInt64(64) {
                let answer = try disk.answer(flipping: 1 << UInt8(bit % 8), at: place + bit / 8)
                let changed = word ^ 1 << bit
                guard let answer else { continue }
                var expected = undamaged
                let sectors = block * perBlock..<(block + 1) * perBlock
                if let uniform = content[changed & 7] {
                    expected.replaceSubrange(sectors, with: repeatElement(LayerWalk.code(uniform), count: perBlock))
                } else if changed & 7 == 6 {
                    expected.replaceSubrange(sectors, with: repeatElement(LayerWalk.code(.data), count: perBlock))
                } else {
                    #expect(changed & 7 == 7, "block \(block), bit \(bit)")
                    // Only block 1 has bits in the bitmap.
                    if block != 1 {
                        expected.replaceSubrange(sectors, with: repeatElement(LayerWalk.code(.absent), count: perBlock))
                    }
                }
                #expect(answer == expected, "block \(block), bit \(bit)")
                #expect(changed & 0xF_FFF8 == 0, "reserved bit \(bit) is ignored")
                let hasPlace = changed & 7 >= 6 || changed & 1 == 1 && changed >> 20 != 0
                if hasPlace {
                    let isInside = (4..<(try RawFile(path).size >> 20)).contains(changed >> 20)
                    #expect(isInside, "block \(block) at \(changed >> 20) MiB is accepted")
                }
            }
        }
    }

    @Test func sectorBitmap() throws {
        let bitmap = try RawFile(path).number(UInt64.self, at: builder.placeOfEntry(bitmap: 0)) & ~0xF_FFFF
        // Block 1 has the second 256 bytes.
        for byte in UInt64(200)..<560 {
            let answer = try #require(try disk.answer(flipping: 1 << UInt8(byte % 8), at: bitmap + byte))
            var expected = undamaged
            if byte >= 256, byte < 512 {
                let sector = Int(byte * 8 + byte % 8)
                let isSet = undamaged[sector] == LayerWalk.code(.data)
                expected[sector] = LayerWalk.code(isSet ? .absent : .data)
            }
            #expect(answer == expected, "byte \(byte)")
        }
    }

    /// What lies beyond the cut is refused; what does not is still told.
    @Test func cutShort() throws {
        let size = try RawFile(path).size
        let cuts: [UInt64] = [
            0, 1, 7, 8, 512, 65_535, 65_536, 70_000, 131_072, 196_608, 262_144, 327_679, 327_680, 1 << 20, 2 << 20,
            (2 << 20) + 65_600, 3 << 20, (3 << 20) + 8, 4 << 20, (5 << 20) - 1, 5 << 20, 6 << 20, (7 << 20) - 1,
            size - 1,
        ]
        for cut in cuts.reversed() {
            try RawFile(path).truncate(to: cut)
            #expect(try disk.answer() == nil, "cut at \(cut)")
        }
    }

    /// Nothing that a block of random bytes can say leads to more than an error.
    @Test(arguments: 0..<8) func noise(seed: UInt64) throws {
        var generator = RepeatableGenerator(seed: seed)
        let places: [(UInt64, Int)] = [
            (2 << 20, 300), ((2 << 20) + 65_536, 300), (3 << 20, 64), ((3 << 20) + 32_768, 8), (64 << 10, 80),
        ]
        for _ in 0..<40 {
            let file = try RawFile(path)
            let (start, length) = places[Int.random(in: 0..<places.count, using: &generator)]
            let offset = start + UInt64.random(in: 0..<UInt64(length), using: &generator)
            let count = Int.random(in: 1...32, using: &generator)
            let before = try file.read(at: offset, count: count)
            try file.write((0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }, at: offset)
            _ = try disk.answer()
            try file.write(before, at: offset)
        }
        #expect(try disk.answer() == undamaged)
    }

    /// Wrong numbers behind a good checksum: nothing but the checks of each field stands between them and the reader.
    @Test(arguments: 0..<8) func noiseWithGoodChecksums(seed: UInt64) throws {
        var generator = RepeatableGenerator(seed: seed)
        let file = try RawFile(path)
        for _ in 0..<40 {
            let isHeader = generator.chance(50)
            let copies: [UInt64] = isHeader ? [64 << 10, 128 << 10] : [192 << 10, 256 << 10]
            let before = try copies.map { try file.read(at: $0, count: isHeader ? 4_096 : 65_536) }
            var bytes = before[1]
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                let start = Int.random(in: 8..<(isHeader ? 80 : 112), using: &generator)
                let count = Int.random(in: 1...min(8, (isHeader ? 80 : 112) - start), using: &generator)
                let value: UInt8? = [0, 0xFF, nil].randomElement(using: &generator) ?? nil
                for index in start..<start + count {
                    bytes[index] = value ?? UInt8.random(in: 0...255, using: &generator)
                }
            }
            for copy in copies { try file.write(VHDXBuilder.checksummed(bytes, length: bytes.count), at: copy) }
            if let answer = try disk.answer() {
                // Nothing in a header bears on what the blocks hold. A region can be moved to a place that is as good.
                if isHeader { #expect(answer == undamaged) }
                #expect(answer.count == undamaged.count)
            }
            for (copy, bytes) in zip(copies, before) { try file.write(bytes, at: copy) }
        }
        #expect(try disk.answer() == undamaged)
    }
}

import TestSupport
import Testing

@testable import DiskImages

/// Every byte of every structure of a small chain flipped, and the file cut short everywhere.
///
/// Whatever happens, the answer is the undamaged one, a refusal, or, in the two structures that have no checksum and say what
/// is where, exactly what the changed bits say.
@Suite("Damaged VHD images")
struct VHDDamageTests {
    let folder: TemporaryFolder
    let path: String
    let builder: VHDBuilder
    let disk: DamagedDisk
    var undamaged: [UInt8] { disk.undamaged }
    let size: UInt64

    init() throws {
        folder = try TemporaryFolder()
        path = folder.file("child.vhd")
        var parent = VHDBuilder(virtualSize: 200 << 10, blockSize: 32 << 10)
        parent.uniqueID = GUID(high: 0xABCD, low: 0x1234)
        try parent.write(to: folder.file("parent.vhd"))
        var child = VHDBuilder(virtualSize: 200 << 10, blockSize: 32 << 10)
        child.setParent(parent.uniqueID, path: ".\\parent.vhd")
        child.blocks = [1: .init(sectors: [0, 5, 17, 63]), 6: .init(sectors: [1, 2, 15])]
        try child.write(to: path)
        builder = child
        disk = try DamagedDisk(path)
        size = try RawFile(path).size
    }

    /// One footer is enough, so that a flip in the other changes nothing at all.
    @Test func footers() throws {
        for start in [0, size - 512] {
            for offset in start..<start + 512 {
                for change in [UInt8(1) << UInt8(offset % 8), 0xFF] {
                    #expect(try disk.answer(flipping: change, at: offset) == undamaged, "byte \(offset)")
                }
            }
        }
    }

    @Test func bothFootersDamagedIsRefused() throws {
        let file = try RawFile(path)
        for field in UInt64(0)..<512 {
            let before = try [field, size - 512 + field].map { try file.read(at: $0, count: 1)[0] }
            try file.write([before[0] ^ 0x10], at: field)
            try file.write([before[1] ^ 0x10], at: size - 512 + field)
            #expect(try disk.answer() == nil)
            try file.write([before[0]], at: field)
            try file.write([before[1]], at: size - 512 + field)
        }
        #expect(try disk.answer() == undamaged)
    }

    @Test func theFooterOfAFixedDisk() throws {
        var builder = VHDBuilder(virtualSize: 4_096)
        builder.type = 2
        try builder.write(to: path)
        for offset in UInt64(4_096)..<4_608 {
            for change in [UInt8(1) << UInt8(offset % 8), 0xFF] {
                #expect(try disk.answer(flipping: change, at: offset) == nil, "byte \(offset)")
            }
        }
        for cut in UInt64(0)..<4_608 {
            try builder.write(to: path)
            try RawFile(path).truncate(to: cut)
            // Without the zero at its end it is a footer of 511 bytes.
            if cut == 4_607 {
                #expect(try disk.answer()?.count == 8)
            } else {
                #expect(try disk.answer() == nil, "cut at \(cut)")
            }
        }
    }

    @Test func headerAndLocator() throws {
        for offset in UInt64(512)..<1_536 {
            #expect(try disk.answer(flipping: UInt8(1) << UInt8(offset % 8), at: offset) == nil, "byte \(offset)")
        }
        // The locator has no checksum. It can lead elsewhere, where there is nothing.
        for offset in UInt64(2_048)..<2_048 + 26 {
            for bit in 0..<8 {
                let answer = try disk.answer(flipping: 1 << UInt8(bit), at: offset)
                #expect(answer == nil || answer == undamaged, "bit \(bit) of the byte at \(offset)")
            }
        }
    }

    /// What an entry says, by the bytes that are there.
    @Test func blockAllocationTable() throws {
        let file = try RawFile(path)
        var accepted = 0
        for block in 0..<builder.blockCount {
            let place = builder.placeOfEntry(block: block)
            let entry = try file.number(UInt32.self, at: place).byteSwapped
            for bit in UInt64(0)..<32 {
                let changed = entry ^ UInt32(1) << UInt32((3 - bit / 8) * 8 + bit % 8)
                guard let answer = try disk.answer(flipping: 1 << UInt8(bit % 8), at: place + bit / 8) else { continue }
                accepted += 1
                let sectors = block * 64..<min((block + 1) * 64, undamaged.count)
                let bitmap = try file.read(at: UInt64(changed) * 512, count: 8)
                var expected = undamaged
                for sector in sectors {
                    let index = sector - sectors.lowerBound
                    let isSet = bitmap[index / 8] & 0x80 >> UInt8(index % 8) != 0
                    expected[sector] = LayerWalk.code(isSet ? .data : .absent)
                }
                #expect(answer == expected, "block \(block), entry \(changed)")
                // The end of the table, and the footer.
                #expect(UInt64(changed) * 512 >= 1_536 + UInt64(builder.blockCount * 4))
                #expect(UInt64(changed) * 512 + 512 + UInt64(sectors.count * 512) <= size - 512)
            }
        }
        #expect(accepted > 0)
    }

    @Test func sectorBitmap() throws {
        let entry = try RawFile(path).number(UInt32.self, at: builder.placeOfEntry(block: 1)).byteSwapped
        for byte in UInt64(0)..<512 {
            for bit in UInt64(0)..<8 {
                let answer = try disk.answer(flipping: 1 << UInt8(bit), at: UInt64(entry) * 512 + byte)
                var expected = undamaged
                if byte < 8 {
                    let sector = Int(64 + byte * 8 + 7 - bit)
                    let isSet = undamaged[sector] == LayerWalk.code(.data)
                    expected[sector] = LayerWalk.code(isSet ? .absent : .data)
                }
                #expect(answer == expected, "bit \(bit) of byte \(byte)")
            }
        }
    }

    /// Whatever the cut takes of the end footer, the copy has it; what it takes of a block is refused.
    @Test func everyLength() throws {
        let file = try RawFile(path)
        let dataEnd = size - 512
        // The last block's bytes behind the disk's end need not be there: 200 KiB are six blocks and a quarter.
        let needed = dataEnd - 24 << 10
        for cut in (0..<size).reversed() {
            // In the blocks' payload one length is as good as another.
            guard cut < 4_096 || cut % 512 < 2 || cut > needed - 600 && cut < needed + 600 || cut > dataEnd - 600 else {
                continue
            }
            try file.truncate(to: cut)
            if cut < needed {
                #expect(try disk.answer() == nil, "cut at \(cut)")
            } else {
                #expect(try disk.answer() == undamaged, "cut at \(cut)")
            }
        }
    }

    /// Nothing that random bytes can say leads to more than an error, good checksums or not.
    @Test(arguments: 0..<8) func noise(seed: UInt64) throws {
        var random = RepeatableGenerator(seed: seed)
        let file = try RawFile(path)
        let end = size - 512
        for _ in 0..<200 {
            let before = try file.read(at: 0, count: 2_560)
            let footer = try file.read(at: end, count: 512)
            let start = random.chance(50) ? Int.random(in: 0..<1_400, using: &random) : 512 + 16
            var bytes = before
            for index in start..<start + Int.random(in: 1...32, using: &random) {
                bytes[index] =
                    [0, 0xFF, nil].randomElement(using: &random).flatMap { $0 }
                    ?? UInt8.random(in: 0...255, using: &random)
            }
            if random.chance(80) {
                let copy = VHDBuilder.checksummed(Array(bytes[..<512]), field: 64, length: 512)
                let header = VHDBuilder.checksummed(Array(bytes[512..<1_536]), field: 36, length: 1_024)
                bytes.replaceSubrange(0..<1_536, with: copy + header)
                try file.write(copy, at: end)
            }
            try file.write(bytes, at: 0)
            do {
                let chain = try DiskChain.open(path, in: LocalFiles())
                // A random size can be that of a disk that would take long to walk over.
                if chain.layers[0].size < 1 << 30 { _ = try LayerWalk.codes(of: chain.layers[0]) }
                _ = try DiskChain.check(path, in: LocalFiles()).problems
            } catch is ImageError {}
            try file.write(before, at: 0)
            try file.write(footer, at: end)
        }
        #expect(try disk.answer() == undamaged)
    }
}

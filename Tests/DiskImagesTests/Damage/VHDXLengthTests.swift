import TestSupport
import Testing

@testable import DiskImages

/// A small VHDX file cut short everywhere, its bitmap's entry and its empty log damaged: what `VHDXDamageTests` leaves.
@Suite("VHDX images of every length")
struct VHDXLengthTests {
    let folder: TemporaryFolder
    let path: String
    let builder: VHDXBuilder
    let disk: DamagedDisk
    var undamaged: [UInt8] { disk.undamaged }

    init() throws {
        folder = try TemporaryFolder()
        path = folder.file("child.vhdx")
        var parent = VHDXBuilder(virtualSize: 3 << 20, blockSize: 1 << 20)
        parent.dataWriteGUID = GUID(high: 0xABCD, low: 0x1234)
        try parent.write(to: folder.file("parent.vhdx"))
        var child = VHDXBuilder(virtualSize: 3 << 20, blockSize: 1 << 20)
        child.setParent(parent.dataWriteGUID, path: "parent.vhdx")
        child.blocks = [0: .init(state: 6), 1: .init(state: 7, sectors: [0, 5, 77, 2_047])]
        try child.write(to: path)
        builder = child
        disk = try DamagedDisk(path)
    }

    @Test func everyLength() throws {
        let file = try RawFile(path)
        let size = file.size
        // Where structures begin and end, and the pages in which they are read.
        let boundaries: [UInt64] = [
            0, 8, 512, 64 << 10, (64 << 10) + 80, 68 << 10, 128 << 10, 132 << 10, 192 << 10, 256 << 10, 320 << 10,
            1 << 20,
            2 << 20, (2 << 20) + 65_536, (2 << 20) + 65_536 + 400, 3 << 20, (3 << 20) + 24, (3 << 20) + 65_536, 4 << 20,
            5 << 20, 6 << 20, (6 << 20) + 512, size,
        ]
        var lengths = Set(boundaries.flatMap { place in (-3...3).map { Int64(place) + $0 } })
        lengths.formUnion(stride(from: 0, to: Int64(size), by: 26_003))
        for length in lengths.sorted(by: >) where length >= 0 && length < Int64(size) {
            try file.truncate(to: UInt64(length))
            // The last mebibyte is that of the sector bitmap, of which a page is read at a time.
            if let answer = try disk.answer() { #expect(answer == undamaged && length > 6 << 20, "\(length) bytes") }
        }
    }

    /// The entry of the sector bitmap has no checksum: it can name another place that is as good.
    @Test func theEntryOfTheSectorBitmap() throws {
        let file = try RawFile(path)
        let place = builder.placeOfEntry(bitmap: 0)
        let word = try file.number(UInt64.self, at: place)
        var accepted = 0
        for bit in UInt64(0)..<64 {
            let changed = word ^ 1 << bit
            try file.write(number: changed, at: place)
            guard let answer = try disk.answer() else { continue }
            accepted += 1
            #expect(changed & 0xF_FFFF == 6, "bit \(bit)")
            let bits = try file.read(at: changed & ~0xF_FFFF + 256, count: 256)
            var expected = undamaged
            for sector in 0..<2_048 {
                let isSet = bits[sector / 8] >> UInt8(sector % 8) & 1 == 1
                expected[2_048 + sector] = LayerWalk.code(isSet ? .data : .absent)
            }
            #expect(answer == expected, "bit \(bit)")
        }
        #expect(accepted > 0)
        try file.write(number: word, at: place)
        #expect(try disk.answer() == undamaged)
    }

    /// Where the header says that the log is empty, nothing in it counts.
    @Test func theEmptyLog() throws {
        let file = try RawFile(path)
        for offset in stride(from: builder.logOffset, to: builder.logOffset + 8_192, by: 61) {
            try file.write([0xFF, 0x6C, 0x6F, 0x67, 0x65], at: offset)
        }
        #expect(try disk.answer() == undamaged)
    }
}

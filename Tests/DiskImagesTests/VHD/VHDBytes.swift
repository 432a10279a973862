import TestSupport

@testable import DiskImages

/// Reads the payload of a VHD: the content comes from the reader under test, the places of the blocks straight from the
/// file, which is laid out as new files are.
enum VHDBytes {
    struct TornSector: Error {
        var sector: Int
    }

    /// "All sectors within a block whose corresponding bits in the bitmap are zero must contain 512 bytes of zero on disk."
    struct SectorThatIsNotZero: Error {
        var sector: Int
    }

    /// The word that each sector repeats; `absent` for sectors that are not in this file.
    static func words(of image: VHDImage, path: String, absent: UInt64) throws -> [UInt64] {
        let codes = try LayerWalk.codes(of: image)
        let isData = LayerWalk.code(.data)
        let isDynamic = image.description.diskType == .dynamic
        let file = try RawFile(path)
        let blockSize = Int(image.description.blockSize)
        let perBlock = blockSize > 0 ? blockSize / 512 : codes.count
        let bitmapLength = (perBlock / 8 + 511) / 512 * 512
        var words = [UInt64](repeating: absent, count: codes.count)
        for block in 0...(codes.count - 1) / perBlock {
            let sectors = block * perBlock..<min((block + 1) * perBlock, codes.count)
            var start: UInt64 = 0
            if blockSize > 0 {
                let entry = try file.number(UInt32.self, at: 1_536 + UInt64(block) * 4).byteSwapped
                if entry == .max { continue }
                start = UInt64(entry) * 512 + UInt64(bitmapLength)
            }
            let bytes = try file.read(at: start, count: sectors.count * 512)
            let content = bytes.span.bytes
            for sector in sectors {
                let place = (sector - sectors.lowerBound) * 512
                guard codes[sector] == isData else {
                    // After a crash a differencing disk may have what nobody reads.
                    if isDynamic,
                        content.unsafeLoadUnaligned(fromByteOffset: place, as: UInt64.self) != 0
                    {
                        throw SectorThatIsNotZero(sector: sector)
                    }
                    continue
                }
                let first = content.unsafeLoadUnaligned(fromByteOffset: place, as: UInt64.self)
                let last = content.unsafeLoadUnaligned(fromByteOffset: place + 504, as: UInt64.self)
                guard first == last else { throw TornSector(sector: sector) }
                words[sector] = UInt64(littleEndian: first)
            }
        }
        return words
    }
}

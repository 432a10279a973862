import TestSupport

@testable import DiskImages

/// Reads the payload of an image: the content comes from the reader under test, the places of the blocks straight from
/// the file.
enum VHDXBytes {
    struct TornSector: Error {
        var sector: Int
    }

    /// The word that each sector repeats; `absent` for sectors that are not in this file.
    static func words(of image: VHDXImage, path: String, sectorSize: Int, absent: UInt64) throws -> [UInt64] {
        let codes = try LayerWalk.codes(of: image)
        let (isAbsent, isData) = (LayerWalk.code(.absent), LayerWalk.code(.data))
        let file = try RawFile(path)
        let blockSize = Int(image.description.blockSize)
        let perBlock = blockSize / sectorSize
        let chunkRatio = (sectorSize << 23) / blockSize
        // Where the layout of new files has the table.
        let table: UInt64 = 3 << 20
        var words = [UInt64](repeating: 0, count: codes.count)
        for block in 0...(codes.count - 1) / perBlock {
            let sectors = block * perBlock..<min((block + 1) * perBlock, codes.count)
            var content: [UInt8] = []
            if codes[sectors].contains(isData) {
                let word = try file.number(UInt64.self, at: table + UInt64(block + block / chunkRatio) * 8)
                // A block that may hold anything is read as zeroes.
                content =
                    word & 7 < 6
                    ? [UInt8](repeating: 0, count: sectors.count * sectorSize)
                    : try file.read(at: word & ~0xF_FFFF, count: sectors.count * sectorSize)
            }
            for sector in sectors {
                switch codes[sector] {
                case isAbsent: words[sector] = absent
                case isData:
                    let start = (sector - sectors.lowerBound) * sectorSize
                    let bytes = content.span.bytes
                    let first = bytes.unsafeLoadUnaligned(fromByteOffset: start, as: UInt64.self)
                    let last = bytes.unsafeLoadUnaligned(fromByteOffset: start + sectorSize - 8, as: UInt64.self)
                    guard first == last else { throw TornSector(sector: sector) }
                    words[sector] = UInt64(littleEndian: first)
                default: break
                }
            }
        }
        return words
    }

    /// All bytes of files of a few mebibytes.
    static func content(of paths: [String]) throws -> [[UInt8]] {
        try paths.map {
            let file = try RawFile($0)
            return try file.read(at: 0, count: Int(file.size))
        }
    }

    /// Copies a file of a few mebibytes.
    static func copy(_ path: String, to copy: String) throws {
        let file = try RawFile(path)
        try RawFile(copy, create: true).write(try file.read(at: 0, count: Int(file.size)), at: 0)
    }
}

import TestSupport
import Testing

@testable import DiskImages

/// What a chain reads as, sector by sector.
enum ChainWords {
    /// Not what any sector holds.
    private static let absent: UInt64 = 0x6162_7365_6E74_2121

    /// The word that each sector of the disk at `path` repeats; 0 where it reads as zeroes.
    static func read(_ path: String) throws -> [UInt64] {
        let layers = try DiskChain.open(path, in: LocalFiles()).layers
        var words = [UInt64](repeating: 0, count: Int(layers[0].size / UInt64(layers[0].sectorSize)))
        for layer in layers.reversed() {
            for (sector, word) in try own(layer).prefix(words.count).enumerated() where word != absent {
                words[sector] = word
            }
        }
        return words
    }

    private static func own(_ layer: any DiskImage) throws -> [UInt64] {
        let sectorSize = Int(layer.sectorSize)
        if let image = layer as? VHDXImage {
            return try VHDXBytes.words(of: image, path: image.file.path, sectorSize: sectorSize, absent: absent)
        }
        let data = VHDSectorData(try #require(layer as? VHDImage))
        let codes = try LayerWalk.codes(of: layer)
        let isData = LayerWalk.code(.data)
        var words = [UInt64](repeating: absent, count: codes.count)
        let perPiece = (1 << 20) / sectorSize
        var piece = [UInt8](repeating: 0, count: 1 << 20)
        for first in stride(from: 0, to: codes.count, by: perPiece) {
            let sectors = first..<min(codes.count, first + perPiece)
            guard codes[sectors].contains(isData) else { continue }
            try piece.withUnsafeMutableBytes {
                let part = UnsafeMutableRawBufferPointer(rebasing: $0[..<(sectors.count * sectorSize)])
                try data.read(at: UInt64(first * sectorSize), into: part)
            }
            let bytes = piece.span.bytes
            for sector in sectors where codes[sector] == isData {
                let start = (sector - first) * sectorSize
                let word = bytes.unsafeLoadUnaligned(fromByteOffset: start, as: UInt64.self)
                let last = bytes.unsafeLoadUnaligned(fromByteOffset: start + sectorSize - 8, as: UInt64.self)
                guard word == last else { throw VHDXBytes.TornSector(sector: sector) }
                words[sector] = UInt64(littleEndian: word)
            }
        }
        return words
    }
}

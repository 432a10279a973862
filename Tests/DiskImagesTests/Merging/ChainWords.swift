import TestSupport
import Testing

@testable import DiskImages

/// What a chain reads as, sector by sector.
enum ChainWords {
    /// Not what any sector holds.
    private static let absent: UInt64 = 0x6162_7365_6E74_2121

    /// The word that each sector of the disk at `path` repeats; 0 where it reads as zeroes.
    static func read(_ path: String) throws -> [UInt64] {
        let layers = try DiskChain.open(path, in: LocalFiles()).layers.map { try #require($0 as? VHDXImage) }
        var words = [UInt64](repeating: 0, count: Int(layers[0].size / UInt64(layers[0].sectorSize)))
        for layer in layers.reversed() {
            let own = try VHDXBytes.words(
                of: layer,
                path: layer.file.path,
                sectorSize: Int(layer.sectorSize),
                absent: absent
            )
            for (sector, word) in own.prefix(words.count).enumerated() where word != absent { words[sector] = word }
        }
        return words
    }
}

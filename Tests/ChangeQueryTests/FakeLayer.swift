import DiskImages
import TestSupport

@testable import ChangeQuery

/// A layer that a test makes up: blocks with a content each, or with a content for each of their sectors.
///
/// It answers like a real one, but ends its extents at random places, as the protocol allows.
final class FakeLayer: DiskImage {
    enum Block {
        case uniform(SectorContent)
        /// What each sector is: `data`, `unmapped` or `absent`.
        case mixed([SectorContent])
    }

    let description: ImageDescription
    let file: ImageFile
    let blocks: [Block]
    let sectorsPerBlock: Int
    let sectorCount: Int
    let sector: Int
    private var generator: RepeatableGenerator

    init(
        sectorCount: Int,
        sector: Int,
        sectorsPerBlock: Int,
        file: ImageFile,
        using generator: inout RepeatableGenerator
    ) {
        self.sectorCount = sectorCount
        self.sector = sector
        self.sectorsPerBlock = sectorsPerBlock
        self.file = file
        let count = (sectorCount + sectorsPerBlock - 1) / sectorsPerBlock
        var previous = Block.uniform(.absent)
        blocks = (0..<count).map { _ in
            switch Int.random(in: 0..<9, using: &generator) {
            case 0, 1: previous = .uniform(.absent)
            case 2: previous = .uniform(.data)
            case 3: previous = .uniform(.zero)
            case 4: previous = .uniform(.unmapped)
            case 5: break
            default:
                let density = Double.random(in: 0...1, using: &generator)
                // Most formats have no sectors that are unmapped one by one.
                let zeroes = Bool.random(using: &generator) ? Double.random(in: 0...1, using: &generator) : 0
                previous = .mixed(
                    (0..<sectorsPerBlock).map { _ in
                        guard Double.random(in: 0..<1, using: &generator) < density else { return .absent }
                        return Double.random(in: 0..<1, using: &generator) < zeroes ? .unmapped : .data
                    }
                )
            }
            return previous
        }
        description = ImageDescription(
            format: .vhdx,
            diskType: .differencing,
            virtualSize: UInt64(sectorCount * sector),
            blockSize: UInt32(sectorsPerBlock * sector),
            logicalSectorSize: UInt32(sector),
            physicalSectorSize: 4096,
            virtualDiskID: nil,
            identifier: .random(using: &generator),
            revision: "",
            parent: nil
        )
        self.generator = generator
        _ = generator.next()
    }

    /// The content of one sector, as the test knows it.
    func content(of index: Int) -> SectorContent {
        guard index < sectorCount else { return .unmapped }
        switch blocks[index / sectorsPerBlock] {
        case .uniform(let content): return content
        case .mixed(let sectors): return sectors[index % sectorsPerBlock]
        }
    }

    func extent(at offset: UInt64, limit: UInt64, into mask: inout SectorMask) throws(ImageError) -> LayerExtent {
        let first = Int(offset) / sector
        let last = Int(limit) / sector
        guard offset % UInt64(64 * sector) == 0, limit > offset, last <= sectorCount,
            last == sectorCount || last % 64 == 0
        else {
            throw ImageError(.invalidParameter, "an extent was asked for that the protocol does not allow", path: "")
        }
        let block = first / sectorsPerBlock
        var end = min((block + 1) * sectorsPerBlock, last)
        if end - first > 64, Bool.random(using: &generator) {
            end = first + 64 * Int.random(in: 1...((end - first) / 64), using: &generator)
        }
        switch blocks[block] {
        case .uniform(let content): return .uniform(content, end: UInt64(end * sector))
        case .mixed(let sectors):
            let run = sectors[(first - block * sectorsPerBlock)..<(end - block * sectorsPerBlock)]
            if run.contains(.unmapped) {
                try mask.fillWithZeroes(count: end - first) { (data, zeroes, wordCount) throws(ImageError) in
                    for index in 0..<wordCount {
                        data[index] = Self.word(index, of: run, where: .data)
                        zeroes[index] = Self.word(index, of: run, where: .unmapped)
                    }
                }
            } else {
                try mask.fill(count: end - first) { (data, wordCount) throws(ImageError) in
                    for index in 0..<wordCount { data[index] = Self.word(index, of: run, where: .data) }
                }
            }
            return .mixed(end: UInt64(end * sector))
        }
    }

    private static func word(
        _ index: Int,
        of sectors: ArraySlice<SectorContent>,
        where content: SectorContent
    ) -> UInt64 {
        sectors.dropFirst(64 * index).prefix(64).reversed().reduce(0) { $0 << 1 | ($1 == content ? 1 : 0) }
    }
}

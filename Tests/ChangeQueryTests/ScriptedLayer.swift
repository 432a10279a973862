import DiskImages

@testable import ChangeQuery

/// A layer of any size that is written down piece by piece, and remembers what it was asked.
final class ScriptedLayer: DiskImage {
    enum Content {
        case uniform(SectorContent)
        /// The bits of the 64 sectors that start with the one given.
        case bits((_ sector: UInt64) -> UInt64)
    }

    let description: ImageDescription
    let file: ImageFile
    /// Each piece with the byte at which it ends, in ascending order: a multiple of 64 sectors, or the size.
    private let pieces: [(end: UInt64, content: Content)]
    private let sector: UInt64
    /// The bytes that were asked about, from the lowest offset to the highest limit.
    private(set) var asked: Range<UInt64>?

    init(
        _ pieces: [(end: UInt64, content: Content)],
        identifier: GUID?,
        sector: UInt64 = 512,
        file: ImageFile
    ) {
        self.pieces = pieces
        self.sector = sector
        self.file = file
        description = ImageDescription(
            format: .vhdx,
            diskType: .differencing,
            virtualSize: pieces.last?.end ?? 0,
            blockSize: 1 << 20,
            logicalSectorSize: UInt32(sector),
            physicalSectorSize: 4096,
            virtualDiskID: nil,
            identifier: identifier,
            revision: "",
            parent: nil
        )
    }

    /// A layer that is alike from its start to its end.
    convenience init(
        _ content: SectorContent,
        size: UInt64,
        identifier: GUID?,
        sector: UInt64 = 512,
        file: ImageFile
    ) {
        self.init([(end: size, content: .uniform(content))], identifier: identifier, sector: sector, file: file)
    }

    func extent(at offset: UInt64, limit: UInt64, into mask: inout SectorMask) throws(ImageError) -> LayerExtent {
        guard let piece = pieces.first(where: { $0.end > offset }) else {
            throw ImageError(.invalidParameter, "\(offset) is beyond the end", path: file.name)
        }
        asked = min(asked?.lowerBound ?? offset, offset)..<max(asked?.upperBound ?? limit, limit)
        let end = min(piece.end, limit)
        switch piece.content {
        case .uniform(let content): return .uniform(content, end: end)
        case .bits(let word):
            let count = min((end - offset + sector - 1) / sector, UInt64(SectorMask.capacity))
            let first = offset / sector
            try mask.fill(count: Int(count)) { (words, wordCount) throws(ImageError) in
                for index in 0..<wordCount { words[index] = word(first + 64 * UInt64(index)) }
            }
            return .mixed(end: min(end, offset + count * sector))
        }
    }
}

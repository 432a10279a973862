import DiskDeltaClient
import DiskImages
import TestSupport

/// A chain of VHDX files made at random, and what its sectors are, known from how the files were described and never from
/// reading them.
struct SectorModel {
    static let virtualSize: UInt64 = 6 << 20
    static let blockSize: UInt32 = 1 << 20
    static let sectorCount = Int(virtualSize / 512)

    /// The files, leaf first, with their identities.
    let builders: [VHDXBuilder]

    /// Writes a chain of `depth` files into `folder`: `0.avhdx` is the leaf, the last is the base.
    init(depth: Int, in folder: TemporaryFolder, using generator: inout RepeatableGenerator) throws {
        var builders: [VHDXBuilder] = []
        for index in 0..<depth {
            var builder = VHDXBuilder(virtualSize: Self.virtualSize, blockSize: Self.blockSize)
            builder.dataWriteGUID = GUID(high: 0xAAAA, low: UInt64(index + 1))
            let isBase = index == depth - 1
            if !isBase {
                builder.setParent(GUID(high: 0xAAAA, low: UInt64(index + 2)), path: Self.name(index + 1))
            }
            for block in 0..<Int(Self.virtualSize / UInt64(Self.blockSize)) {
                switch Int.random(in: 0..<8, using: &generator) {
                case 0: builder.blocks[block] = VHDXBuilder.Block(state: 1)
                case 1: builder.blocks[block] = VHDXBuilder.Block(state: 2)
                case 2: builder.blocks[block] = VHDXBuilder.Block(state: 3)
                case 3: builder.blocks[block] = VHDXBuilder.Block(state: 6)
                case 4, 5, 6:
                    guard !isBase else { continue }
                    builder.blocks[block] = VHDXBuilder.Block(state: 7, sectors: Self.sectors(using: &generator))
                default: break
                }
            }
            builders.append(builder)
            try builder.write(to: folder.file(Self.name(index)))
        }
        self.builders = builders
    }

    static func name(_ index: Int) -> String { "\(index).avhdx" }

    func id(_ index: Int) -> String { builders[index].dataWriteGUID.description }

    private static func sectors(using generator: inout RepeatableGenerator) -> Set<Int> {
        if generator.chance(30) { return Set(stride(from: 0, to: 2048, by: 2)) }
        var sectors: Set<Int> = []
        for _ in 0..<Int.random(in: 0...12, using: &generator) {
            let first = Int.random(in: 0..<2048, using: &generator)
            sectors.formUnion(first..<min(2048, first + Int.random(in: 1...200, using: &generator)))
        }
        return sectors
    }

    /// The state that decides about a sector, in the first of `layers` that has it: 6 for data, 2, 3, or nil.
    private func state(of sector: Int, in layers: Range<Int>) -> UInt64? {
        for layer in layers {
            guard let block = builders[layer].blocks[sector / 2048] else { continue }
            switch block.state {
            case 1, 6: return 6
            case 2, 3: return block.state
            case 7: if block.sectors.contains(sector % 2048) { return 6 }
            default: continue
            }
        }
        return nil
    }

    /// What changed between the layers `since` and `target`.
    func changes(since: Int, target: Int, window: Range<UInt64>) -> [ChangedRange] {
        ranges(window) { sector in
            switch state(of: sector, in: target..<since) {
            case 6: .data
            case 3: .zero
            // A new differencing disk inherits its parent's zero blocks.
            case 2: state(of: sector, in: since..<builders.count) == 2 ? nil : .zero
            default: nil
            }
        }
    }

    func allocation(window: Range<UInt64>) -> [ChangedRange] {
        ranges(window) { sector in state(of: sector, in: 0..<builders.count) == 6 ? .data : nil }
    }

    private func ranges(_ window: Range<UInt64>, _ kind: (_ sector: Int) -> RangeKind?) -> [ChangedRange] {
        var ranges: [ChangedRange] = []
        for sector in Int(window.lowerBound / 512)..<Int(window.upperBound / 512) {
            guard let kind = kind(sector) else { continue }
            if let last = ranges.last, last.end == UInt64(sector) * 512, last.kind == kind {
                ranges[ranges.count - 1].length += 512
            } else {
                ranges.append(ChangedRange(offset: UInt64(sector) * 512, length: 512, kind: kind))
            }
        }
        return ranges
    }
}

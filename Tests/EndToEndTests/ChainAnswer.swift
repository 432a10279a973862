import DiskDeltaClient
import DiskImages
import TestSupport

/// What a random chain must answer, from what was written to its layers and the rules of `Docs/QueryRules.md`.
///
/// It goes from one point where some layer changes its mind to the next, and has nothing in common with the engine: no
/// masks, no stripes, no batches.
struct ChainAnswer {
    /// The sectors from `start` to that of the next run have the content `content`.
    private struct Run {
        var start: Int
        var content: SectorContent
    }

    private typealias Piece = (sectors: Range<Int>, kind: RangeKind?)

    private let sectorSize: Int
    private let layers: [[Run]]
    private let sizes: [Int]

    init(_ chain: RandomChain) {
        sectorSize = chain.sectorSize
        sizes = chain.layers.map(\.model.sectorCount)
        layers = chain.layers.map { layer in
            var runs = Self.starts(of: layer.model.codes).map {
                Run(start: $0, content: layer.content(ofSector: $0))
            }
            // Beyond its end a layer reads as zeroes.
            runs.append(Run(start: layer.model.sectorCount, content: .unmapped))
            return runs
        }
    }

    /// The ranges of `window`, in bytes, that changed from the layer `since` to the layer `target`, counted from the leaf.
    func changes(since: Int, target: Int, window: Range<UInt64>, granularity: UInt64) -> [ChangedRange] {
        guard since > target else { return [] }
        return ranges(target: target, window: window, granularity: granularity) { sector in
            switch decision(at: sector, in: target..<since) {
            case .data: return .data
            case .unmapped: return .zero
            case .zero: return decision(at: sector, in: since..<layers.count) == .zero ? nil : .zero
            case .absent: return sector < sizes[since] ? nil : .zero
            }
        }
    }

    /// The ranges of `window` that hold data.
    func allocation(window: Range<UInt64>, granularity: UInt64) -> [ChangedRange] {
        ranges(target: 0, window: window, granularity: granularity) { sector in
            decision(at: sector, in: layers.indices) == .data ? .data : nil
        }
    }

    /// What the topmost of `layers` that says anything says.
    private func decision(at sector: Int, in layers: Range<Int>) -> SectorContent {
        for layer in layers {
            let content = content(at: sector, of: self.layers[layer])
            if content != .absent { return content }
        }
        return .absent
    }

    private func content(at sector: Int, of runs: [Run]) -> SectorContent {
        var (low, high) = (0, runs.count)
        while high - low > 1 {
            let middle = (low + high) / 2
            if runs[middle].start <= sector { low = middle } else { high = middle }
        }
        return runs[low].content
    }

    private func ranges(
        target: Int,
        window: Range<UInt64>,
        granularity: UInt64,
        _ kind: (_ sector: Int) -> RangeKind?
    ) -> [ChangedRange] {
        let size = sizes[target]
        var starts: Set<Int> = [0]
        for runs in layers { starts.formUnion(runs.map(\.start).filter { $0 < size }) }
        let points = starts.sorted() + [size]
        let pieces = zip(points, points.dropFirst()).map { (sectors: $0..<$1, kind: kind($0)) }
        var ranges: [ChangedRange] = []
        for piece in Self.widen(pieces, step: Int(granularity) / sectorSize) {
            guard let kind = piece.kind else { continue }
            let start = max(UInt64(piece.sectors.lowerBound * sectorSize), window.lowerBound)
            let end = min(UInt64(piece.sectors.upperBound * sectorSize), window.upperBound)
            guard start < end else { continue }
            if let last = ranges.last, last.end == start, last.kind == kind {
                ranges[ranges.count - 1].length += end - start
            } else {
                ranges.append(ChangedRange(offset: start, length: end - start, kind: kind))
            }
        }
        return ranges
    }

    /// Widens `pieces`, which cover the disk, to granules of `step` sectors.
    private static func widen(_ pieces: [Piece], step: Int) -> [Piece] {
        guard step > 1, let size = pieces.last?.sectors.upperBound else { return pieces }
        var widened: [Piece] = []
        var index = 0
        var position = 0
        while position < size {
            while pieces[index].sectors.upperBound <= position { index += 1 }
            let piece = pieces[index]
            // All the granules that lie in this piece alone, else the one that it shares with others.
            var end = piece.sectors.upperBound == size ? size : piece.sectors.upperBound / step * step
            var kind = piece.kind
            if end <= position {
                end = min(position + step, size)
                let kinds = pieces[index...].prefix { $0.sectors.lowerBound < end }.map(\.kind)
                kind = kinds.allSatisfy { $0 == nil } ? nil : kinds.allSatisfy { $0 == .zero } ? .zero : .data
            }
            widened.append((position..<end, kind))
            position = end
        }
        return widened
    }

    /// Where a byte differs from the one before it; found eight bytes at a time, as disks are large.
    private static func starts(of codes: [UInt8]) -> [Int] {
        codes.withUnsafeBytes { bytes in
            var starts: [Int] = []
            var index = 0
            while index < bytes.count {
                starts.append(index)
                let value = bytes[index]
                let eight = UInt64(value) &* 0x0101_0101_0101_0101
                while index + 8 <= bytes.count, bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self) == eight {
                    index += 8
                }
                while index < bytes.count, bytes[index] == value { index += 1 }
            }
            return starts
        }
    }
}

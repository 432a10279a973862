import TestSupport
import Testing

@testable import DiskImages

/// Which of many writes a sector shows in the end.
@Suite("Log overlays")
struct VHDXLogOverlayTests {
    @Test(arguments: 0..<40) func theLastWriteOfEachSectorCounts(seed: UInt64) {
        var random = RepeatableGenerator(seed: seed)
        for _ in 0..<10 {
            var sectors = [VHDXLogOverlay.Source?](repeating: nil, count: 100)
            var writes: [VHDXLogOverlay.Piece] = []
            for index in 0..<UInt32.random(in: 0...40, using: &random) {
                let start = Int.random(in: 0..<100, using: &random)
                let isZero = random.chance(60)
                let end = isZero ? Int.random(in: start...100, using: &random) : start + 1
                let source: VHDXLogOverlay.Source = isZero ? .zeroes : .log(.init(descriptor: index, data: index + 7))
                writes.append(.init(sectors: UInt64(start)..<UInt64(end), source: source))
                for sector in start..<end { sectors[sector] = source }
            }
            let overlay = VHDXLogOverlay(writes)
            var found = [VHDXLogOverlay.Source?](repeating: nil, count: 100)
            var end: UInt64 = 0
            for piece in overlay.pieces {
                #expect(piece.sectors.lowerBound >= end && !piece.sectors.isEmpty)
                end = piece.sectors.upperBound
                for sector in piece.sectors { found[Int(sector)] = piece.source }
            }
            #expect(found == sectors, "seed \(seed)")
            for first in UInt64(0)..<101 {
                let rest = overlay.pieces(from: first)
                #expect(rest.first == overlay.pieces.first { $0.sectors.upperBound > first })
                #expect(rest.endIndex == overlay.pieces.endIndex)
            }
        }
    }

    /// As many pieces as there can be, put together in a moment.
    @Test func aLargeLogCostsLittle() {
        let count = UInt64(VHDXLogOverlay.maximumDescriptorCount)
        let everything = VHDXLogOverlay.Piece(sectors: 0..<4 * count, source: .zeroes)
        let single = (0..<count - 1).map { index in
            let place = VHDXLogOverlay.Place(descriptor: 1, data: 1)
            return VHDXLogOverlay.Piece(sectors: 2 * index + 1..<2 * index + 2, source: .log(place))
        }
        #expect(VHDXLogOverlay([everything] + single).pieces.count == 2 * single.count + 1)
        #expect(VHDXLogOverlay(single + [everything]).pieces == [everything])
        #expect(VHDXLogOverlay([]).pieces.isEmpty)
    }
}

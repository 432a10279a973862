internal import DiskImages

/// Asks an image everything that it can tell, and checks that every answer keeps to the rules of `SectorMap`.
struct ImageProbe {
    /// How many extents of one map are looked at in a row: a damaged disk may have terabytes.
    private static let extentCount = 24
    private static let pointCount = 4

    private let choice: UInt32
    private var mask = SectorMask()
    private var shortMask = SectorMask()

    init(choice: UInt32) {
        self.choice = choice
    }

    mutating func run(on image: any DiskImage, in files: MemoryFiles) throws(ImageError) {
        let what = image.description
        expect(what.virtualSize == image.size && what.logicalSectorSize == image.sectorSize, "two sizes of one disk")
        expect(what.parent?.candidates.isEmpty != true, "a parent that is nowhere")
        expect(what.parent?.identifiers.contains(.zero) != true, "a parent without an identity")
        probe(image)
        // All of it is told even where some is damaged.
        let points = image.recordedPoints
        let snapshots = points.filter { $0.kind == .snapshot }
        for point in points.prefix(Self.pointCount) where point.condition == .usable {
            ignoringRefusals { () throws(ImageError) in
                if point.kind == .snapshot { probe(try image.state(at: point)) }
            }
            ignoringRefusals { () throws(ImageError) in probe(try image.changes(since: point, upTo: nil)) }
            guard let snapshot = snapshots.last else { continue }
            ignoringRefusals { () throws(ImageError) in probe(try image.changes(since: point, upTo: snapshot)) }
        }
        _ = try DiskChain.check(image.file.name, in: files).problems
    }

    private func ignoringRefusals(_ body: () throws(ImageError) -> Void) {
        do throws(ImageError) { try body() } catch {}
    }

    /// Walks over the start and the end of a map, and over a part in the middle.
    private mutating func probe(_ map: any SectorMap) {
        let size = map.size
        let sector = UInt64(map.sectorSize)
        expect(sector == 512 || sector == 4_096, "sectors of \(sector) bytes")
        expect(map.granularity >= sector && map.granularity.nonzeroBitCount == 1, "a granularity of \(map.granularity)")
        guard size > 0 else { return }
        let alignment = 64 * sector
        let last = (size - 1) / alignment * alignment
        walk(map, from: 0)
        walk(map, from: last)
        // Far apart in a large disk, near the start in a small one.
        walk(map, from: min(last, size / (1 + UInt64(choice & 0xFFFF)) / alignment * alignment))
    }

    private mutating func walk(_ map: any SectorMap, from start: UInt64) {
        let size = map.size
        let sector = UInt64(map.sectorSize)
        let alignment = 64 * sector
        var offset = start
        for _ in 0..<Self.extentCount where offset < size {
            do throws(ImageError) {
                let extent = try map.extent(at: offset, limit: size, into: &mask)
                let end = check(extent, of: map, at: offset, limit: size, mask: mask)
                let limit = min(size, offset + alignment)
                // What does not need the rest of the disk must not depend on it.
                let short = try map.extent(at: offset, limit: limit, into: &shortMask)
                _ = check(short, of: map, at: offset, limit: limit, mask: shortMask)
                for index in 0..<(limit - offset) / sector {
                    let one = content(extent, mask, index)
                    expect(
                        one == content(short, shortMask, index),
                        "two answers about the sector \(index) at \(offset)"
                    )
                }
                offset = end
            } catch {
                // The rest of the disk is still asked for.
                offset += alignment
            }
        }
    }

    private func content(_ extent: LayerExtent, _ mask: SectorMask, _ index: UInt64) -> SectorContent {
        switch extent {
        case .uniform(let content, _): return content
        case .mixed:
            let word = Int(index / 64)
            let bit = UInt64(1) << (index % 64)
            if mask.words[word] & bit != 0 { return .data }
            return mask.hasZeroes && mask.zeroWords[word] & bit != 0 ? .unmapped : .absent
        }
    }

    /// Returns where the extent ends.
    private func check(
        _ extent: LayerExtent,
        of map: any SectorMap,
        at offset: UInt64,
        limit: UInt64,
        mask: SectorMask
    ) -> UInt64 {
        let sector = UInt64(map.sectorSize)
        let end =
            switch extent {
            case .uniform(_, let end), .mixed(let end): end
            }
        expect(end > offset && end <= limit, "the extent \(offset)..<\(end) asked for up to \(limit)")
        expect(end == map.size || end % (64 * sector) == 0, "an extent that ends at \(end)")
        if case .mixed = extent {
            let count = Int((end - offset + sector - 1) / sector)
            expect(mask.count == count, "a mask of \(mask.count) sectors for \(count)")
            for index in 0..<(count + 63) / 64 where mask.hasZeroes {
                expect(mask.words[index] & mask.zeroWords[index] == 0, "a sector with data that is unmapped")
            }
        }
        return end
    }
}

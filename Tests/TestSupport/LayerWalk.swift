public import DiskImages

/// Asks one layer, or another map of sectors, for what it holds, from its start to its end.
public enum LayerWalk {
    public struct BadExtent: Error, CustomStringConvertible {
        public let description: String
    }

    /// Each sector's content, as a number that `code(_:)` gives. Checks on the way that every extent keeps to the rules of
    /// `SectorMap`.
    ///
    /// - Parameter windows: where given, the limits of the questions: each is asked up to the next of them.
    public static func codes(of image: any SectorMap, windows: [UInt64] = []) throws -> [UInt8] {
        let size = image.size
        let sector = UInt64(image.sectorSize)
        var codes = [UInt8](repeating: 0xFF, count: Int(size / sector))
        let (data, unmapped, absent) = (code(.data), code(.unmapped), code(.absent))
        var mask = SectorMask()
        var offset: UInt64 = 0
        while offset < size {
            let limit = windows.first { $0 > offset && $0 < size } ?? size
            let extent = try image.extent(at: offset, limit: limit, into: &mask)
            let (end, content): (UInt64, SectorContent?) =
                switch extent {
                case .uniform(let content, let end): (end, content)
                case .mixed(let end): (end, nil)
                }
            guard end > offset, end <= limit, end == size || end % (64 * sector) == 0 else {
                throw BadExtent(description: "extent \(extent) at \(offset) of a disk of \(size)")
            }
            let first = Int(offset / sector)
            let count = Int((end - offset) / sector)
            if let content {
                codes.fill(first..<first + count, with: code(content))
            } else {
                guard mask.count == count else {
                    throw BadExtent(description: "a mask of \(mask.count) sectors for \(count) at \(offset)")
                }
                for word in 0..<(count + 63) / 64 {
                    let bits = mask.words[word]
                    let zeroBits = mask.hasZeroes ? mask.zeroWords[word] : 0
                    guard bits & zeroBits == 0 else {
                        throw BadExtent(description: "a sector that is data and unmapped behind \(offset)")
                    }
                    let sectors = first + word * 64..<first + min(word * 64 + 64, count)
                    // Most words are all the same.
                    if bits | zeroBits == 0 || bits == .max || zeroBits == .max {
                        codes.fill(sectors, with: bits != 0 ? data : zeroBits != 0 ? unmapped : absent)
                        continue
                    }
                    for bit in 0..<sectors.count {
                        let isData = bits >> UInt64(bit) & 1 == 1
                        codes[sectors.lowerBound + bit] =
                            isData ? data : zeroBits >> UInt64(bit) & 1 == 1 ? unmapped : absent
                    }
                }
            }
            offset = end
        }
        return codes
    }

    /// A number for each content: 0 absent, 1 data, 2 zero, 3 unmapped.
    public static func code(_ content: SectorContent) -> UInt8 {
        switch content {
        case .absent: 0
        case .data: 1
        case .zero: 2
        case .unmapped: 3
        }
    }

    /// The runs of sectors with the content `wanted`, as (offset, length) in bytes.
    public static func ranges(of wanted: SectorContent, in codes: [UInt8], sectorSize: UInt64) -> [[UInt64]] {
        var ranges: [[UInt64]] = []
        var start: Int?
        for (index, value) in (codes + [0xFF]).enumerated() {
            if value == code(wanted) {
                start = start ?? index
            } else if let first = start {
                ranges.append([UInt64(first) * sectorSize, UInt64(index - first) * sectorSize])
                start = nil
            }
        }
        return ranges
    }
}

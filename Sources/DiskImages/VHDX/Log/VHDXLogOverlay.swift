/// What a log says that lies in the file, in place of what does: which sectors of 4 KiB, and where their content is.
///
/// It holds references into the log and not the content, 32 bytes a piece.
struct VHDXLogOverlay {
    /// The most descriptors that are replayed. A log of 1 MiB, which is what all known writers make, cannot hold more.
    static let maximumDescriptorCount = 32_768

    /// Where in the log the content of a sector is.
    struct Place: Equatable {
        /// The data descriptor, in units of 32 bytes from the log's start.
        var descriptor: UInt32
        /// The data sector, in units of 4 KiB from the log's start.
        var data: UInt32
    }

    enum Source: Equatable {
        case zeroes
        /// One sector.
        case log(Place)
    }

    struct Piece: Equatable {
        /// The sectors of the file, numbered from its start.
        var sectors: Range<UInt64>
        var source: Source
    }

    /// Ascending and disjoint.
    let pieces: [Piece]

    /// - Parameter writes: in the order in which they are made: a later one replaces what an earlier one wrote.
    init(_ writes: [Piece]) {
        pieces = Self.flatten(writes[...])
    }

    /// The pieces that have something of the sectors from `first` on, ascending.
    func pieces(from first: UInt64) -> ArraySlice<Piece> {
        var low = 0
        var high = pieces.count
        while low < high {
            let middle = (low + high) / 2
            if pieces[middle].sectors.upperBound > first { high = middle } else { low = middle + 1 }
        }
        return pieces[low...]
    }

    private static func flatten(_ writes: ArraySlice<Piece>) -> [Piece] {
        if writes.count <= 1 { return writes.filter { !$0.sectors.isEmpty } }
        let middle = writes.startIndex + writes.count / 2
        return merge(flatten(writes[..<middle]), under: flatten(writes[middle...]))
    }

    /// Both in one, where what `newer` has wins.
    private static func merge(_ older: [Piece], under newer: [Piece]) -> [Piece] {
        var merged: [Piece] = []
        merged.reserveCapacity(older.count + newer.count)
        var index = 0
        // What is left of the older piece `index` begins here.
        var start: UInt64 = 0
        func appendOlder(upTo limit: UInt64) {
            while index < older.count {
                let piece = older[index]
                let from = max(start, piece.sectors.lowerBound)
                let to = min(limit, piece.sectors.upperBound)
                if from < to { merged.append(Piece(sectors: from..<to, source: piece.source)) }
                guard piece.sectors.upperBound <= limit else { return }
                index += 1
            }
        }
        for piece in newer {
            appendOlder(upTo: piece.sectors.lowerBound)
            start = piece.sectors.upperBound
            merged.append(piece)
        }
        appendOlder(upTo: .max)
        return merged
    }
}

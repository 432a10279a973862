/// The pieces of the disk that a dirty bitmap has marked: `data` where the bit is set, else `absent`.
///
/// The bitmap's data lies in clusters of the file, which a table places; clusters that are all zeroes or all ones need no
/// place. Least significant bit first, as in `SectorMask`.
final class Qcow2BitmapMap: SectorMap {
    let size: UInt64
    let granularity: UInt64
    var sectorSize: UInt32 { 512 }

    private static let alignment: UInt64 = 64 * 512
    /// Bits of a table entry that say "all ones", and those that say nothing yet.
    private static let allOnes: UInt64 = 1
    private static let reserved: UInt64 = 0xFF00_0000_0000_01FE

    private let file: ImageFile
    private let granularityBits: UInt64
    private let clusterBits: UInt64
    private var table: WordTable<UInt64, ImageFile>
    private let tableCount: UInt64
    /// A page of the bitmap, and which: its cluster's table entry and its number in it.
    private var page: [UInt64] = []
    private var loaded: (entry: UInt64, number: UInt64)?

    /// - Throws: `corrupt` where the table cannot be there, or does not cover the disk; `unsupported` for a granularity that
    ///   this program does not read.
    init(_ bitmap: Qcow2Bitmap, of file: ImageFile, header: Qcow2Header) throws(ImageError) {
        guard Qcow2Format.granularityBits.contains(bitmap.granularityBits) else {
            throw file.error(
                .unsupported,
                "The bitmap \"\(bitmap.name)\" has a granularity of 2^\(bitmap.granularityBits) bytes; "
                    + "this program reads 512 bytes to 2 GiB."
            )
        }
        self.file = file
        size = header.size
        granularity = bitmap.granularity
        granularityBits = UInt64(bitmap.granularityBits)
        clusterBits = UInt64(header.clusterBits)
        let bitCount = size == 0 ? 0 : (size - 1) >> granularityBits + 1
        let needed = bitCount == 0 ? 0 : (bitCount - 1) >> (clusterBits + 3) + 1
        let offset = bitmap.tableOffset
        guard offset != 0, offset % header.clusterSize == 0,
            bitmap.tableCount <= Qcow2Format.maximumBitmapTableEntries,
            file.holds(offset: offset, length: UInt64(bitmap.tableCount) * 8)
        else {
            throw file.corrupt(
                "The table of the bitmap \"\(bitmap.name)\" is said to lie where none can be.",
                at: offset
            )
        }
        guard needed <= UInt64(bitmap.tableCount) else {
            throw file.corrupt("The bitmap \"\(bitmap.name)\" does not cover the disk.", at: offset)
        }
        tableCount = needed
        table = WordTable(file: file, .bigEndian)
        table.place(at: offset, count: needed)
    }

    func extent(
        at offset: UInt64,
        limit: UInt64,
        into mask: inout SectorMask
    ) throws(ImageError) -> LayerExtent {
        let limit = try checkedLimit(limit, from: offset, of: file)
        let index = offset >> entryBits
        let word = try table.word(index)
        guard word > Self.allOnes else {
            var next = index + 1
            while table.loadedWord(next) == word { next += 1 }
            // The last cluster may describe more than the disk, beyond all that a number can count.
            let end = next < tableCount ? next << entryBits : limit
            return .uniform(word == Self.allOnes ? .data : .absent, end: min(limit, end))
        }
        let pageEnd = try loadPage(ofBit: offset >> granularityBits, entry: index, word: word)
        return try extent(at: offset, limit: pageEnd < bitEnd ? min(limit, pageEnd << granularityBits) : limit, &mask)
    }

    /// How many bytes of the disk an entry of the table stands for, as a power of two.
    private var entryBits: UInt64 { clusterBits + 3 + granularityBits }

    /// Where the bits of the disk end.
    private var bitEnd: UInt64 { (size - 1) >> granularityBits + 1 }

    /// How many bits a page has, as a power of two: 16 KiB, or a cluster where that is less.
    private var pageBits: UInt64 { min(clusterBits, 14) + 3 }

    /// Makes the page with `bit` the one in memory, and returns the first bit behind it.
    private func loadPage(ofBit bit: UInt64, entry: UInt64, word: UInt64) throws(ImageError) -> UInt64 {
        let number = bit >> pageBits
        if loaded?.entry != entry || loaded?.number != number {
            loaded = nil
            let offset = word & Qcow2Format.offsetMask
            guard word & (Self.reserved | Self.allOnes) == 0, offset % (1 << clusterBits) == 0 else {
                throw file.corrupt("The entry \(entry) of a bitmap table is damaged.", at: table.fileOffset(of: entry))
            }
            let inCluster = (number << (pageBits - 3)) & (1 << clusterBits - 1)
            // The bits behind the disk's end need not be in the file.
            let bits = min(bitEnd - number << pageBits, 1 << pageBits)
            try file.readWords(at: offset + inCluster, count: Int((bits + 63) / 64), .littleEndian, into: &page)
            loaded = (entry, number)
        }
        return (number + 1) << pageBits
    }

    /// What the page in memory says from `offset` to `limit`, which it describes.
    private func extent(
        at offset: UInt64,
        limit: UInt64,
        _ mask: inout SectorMask
    ) throws(ImageError) -> LayerExtent {
        let pageStart = (offset >> (granularityBits + pageBits)) << pageBits
        let first = offset >> granularityBits - pageStart
        let last = (limit - 1) >> granularityBits - pageStart
        let isSet = page[Int(first / 64)] >> (first % 64) & 1 == 1
        let runEnd = endOfRun(isSet: isSet, from: first, through: last)
        let end = runEnd > last ? limit : ((pageStart + runEnd) << granularityBits) & ~(Self.alignment - 1)
        if end > offset { return .uniform(isSet ? .data : .absent, end: end) }
        let maskEnd = min(limit, offset + UInt64(SectorMask.capacity) * 512)
        try fill(&mask, count: Int((maskEnd - offset) / 512), fromBit: first)
        return .mixed(end: maskEnd)
    }

    /// The first bit from `first` on that is not `isSet`; a bit behind `last` where there is none up to that.
    private func endOfRun(isSet: Bool, from first: UInt64, through last: UInt64) -> UInt64 {
        let flip: UInt64 = isSet ? .max : 0
        var index = Int(first / 64)
        var different = (page[index] ^ flip) & UInt64.max << (first % 64)
        while different == 0 {
            index += 1
            guard index <= Int(last / 64) else { return last + 1 }
            different = page[index] ^ flip
        }
        return min(last + 1, UInt64(index) * 64 + UInt64(different.trailingZeroBitCount))
    }

    /// Fills `mask` with `count` sectors, from the bit `first` of the page on. A bit stands for less than 64 sectors.
    private func fill(_ mask: inout SectorMask, count: Int, fromBit first: UInt64) throws(ImageError) {
        let sectorBits = granularityBits - 9
        let bitsPerWord: UInt64 = 64 >> sectorBits
        let ones: UInt64 = sectorBits == 0 ? 1 : (1 << (1 << sectorBits)) - 1
        try mask.fill(count: count) { (words, wordCount) throws(ImageError) in
            var bit = first
            for word in 0..<wordCount {
                var bits = page[Int(bit / 64)] >> (bit % 64)
                var sectors: UInt64 = 0
                if sectorBits == 0 {
                    sectors = bits
                } else {
                    bits &= 1 << bitsPerWord - 1
                    while bits != 0 {
                        sectors |= ones << (UInt64(bits.trailingZeroBitCount) << sectorBits)
                        bits &= bits - 1
                    }
                }
                words[word] = sectors
                bit += bitsPerWord
            }
        }
    }
}

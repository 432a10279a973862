/// The block allocation table of an image, of which one page is in memory at a time.
struct VHDXBlockTable {
    private var words: WordTable<UInt64, ReplayedFile>

    /// - Throws: `corrupt` where the region is too small for the disk.
    init(file: ReplayedFile, region: VHDXRegionTable.Entry, geometry: VHDXGeometry) throws(ImageError) {
        guard geometry.entryCount * 8 <= UInt64(region.length) else {
            throw file.corrupt(
                "The block allocation table has no room for the \(geometry.entryCount) entries of the disk.",
                at: region.offset,
                detailCode: VHDXDetailCode.blockTableCorrupt
            )
        }
        words = WordTable(file: file, .littleEndian)
        words.place(at: region.offset, count: geometry.entryCount)
    }

    /// Where entry `index` lies in the file.
    func fileOffset(ofEntry index: UInt64) -> UInt64 { words.fileOffset(of: index) }

    /// The entry `index`, below the geometry's `entryCount`.
    mutating func entry(_ index: UInt64) throws(ImageError) -> VHDXBlockEntry {
        VHDXBlockEntry(word: try words.word(index))
    }

    /// The entry `index` if it is on the page that was last asked for, else nil.
    func loadedEntry(_ index: UInt64) -> VHDXBlockEntry? {
        words.loadedWord(index).map { VHDXBlockEntry(word: $0) }
    }
}

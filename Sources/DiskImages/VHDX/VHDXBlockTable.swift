/// The block allocation table of an image, of which one page is in memory at a time.
///
/// A 64 TiB disk with blocks of 1 MiB has a table of 512 MiB: it is never read as a whole.
struct VHDXBlockTable {
    /// How many entries a page has: 64 KiB.
    static let entriesPerPage: UInt64 = 8_192

    private let file: ReplayedFile
    private let region: VHDXRegionTable.Entry
    private let geometry: VHDXGeometry
    private var page: [UInt64] = []
    private var pageStart: UInt64 = 0
    private var pageCount: UInt64 = 0

    /// - Throws: `corrupt` where the region is too small for the disk.
    init(file: ReplayedFile, region: VHDXRegionTable.Entry, geometry: VHDXGeometry) throws(ImageError) {
        guard geometry.entryCount * 8 <= UInt64(region.length) else {
            throw file.corrupt(
                "The block allocation table has no room for the \(geometry.entryCount) entries of the disk.",
                at: region.offset,
                detailCode: VHDXDetailCode.blockTableCorrupt
            )
        }
        self.file = file
        self.region = region
        self.geometry = geometry
    }

    /// Where entry `index` lies in the file.
    func fileOffset(ofEntry index: UInt64) -> UInt64 { region.offset + index * 8 }

    /// The entry `index`, below the geometry's `entryCount`.
    mutating func entry(_ index: UInt64) throws(ImageError) -> VHDXBlockEntry {
        try load(index)
        return VHDXBlockEntry(word: page[Int(index - pageStart)])
    }

    /// The entry `index` if it is on the page that was last asked for, else nil.
    func loadedEntry(_ index: UInt64) -> VHDXBlockEntry? {
        guard index >= pageStart, index - pageStart < pageCount else { return nil }
        return VHDXBlockEntry(word: page[Int(index - pageStart)])
    }

    private mutating func load(_ index: UInt64) throws(ImageError) {
        if index >= pageStart, index - pageStart < pageCount { return }
        guard index < geometry.entryCount else {
            throw file.corrupt("The block allocation table has no entry \(index).", at: region.offset)
        }
        let start = index / Self.entriesPerPage * Self.entriesPerPage
        let count = min(Self.entriesPerPage, geometry.entryCount - start)
        pageCount = 0
        try file.readWords(at: fileOffset(ofEntry: start), count: Int(count), into: &page)
        pageStart = start
        pageCount = count
    }
}

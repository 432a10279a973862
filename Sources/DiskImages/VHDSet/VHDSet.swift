/// A VHD Set as its catalogue describes it, open: the chain of its live file, and where that has the snapshots.
public struct VHDSet {
    public let catalogue: VHDSetCatalogue
    /// The file that the catalogue was read from.
    public let file: ImageFile
    /// The disk; nil where the catalogue names no file yet.
    public let chain: DiskChain?

    /// Reads the catalogue `file` and opens what it names.
    ///
    /// - Throws: `corrupt` for the catalogue, also where it leaves open which file is the live one; `notADisk` where it is
    ///   no JSON; `resourceLimit` where it is too long; and what opening a chain throws.
    public init(_ file: ImageFile, in files: some ImageFiles) throws(ImageError) {
        self.file = file
        catalogue = try VHDSetCatalogue(file)
        guard !catalogue.isEmpty else {
            chain = nil
            return
        }
        let leaf = try VHDSetLeaf(catalogue: catalogue, file: file).find(in: files)
        let places = VHDSetPlaces(
            catalogue: catalogue,
            layers: leaf.layers.map(VHDSetLayer.init),
            isFrozen: leaf.isFrozen
        )
        chain = DiskChain(
            layers: leaf.layers,
            snapshots: places.snapshots(try VHDSetFiles(file: file, layers: leaf.layers).found(catalogue, in: files)),
            catalogue: file
        )
    }
}

extension VHDSetCatalogue {
    /// Reads the document in `file`.
    ///
    /// - Throws: `notADisk` where it does not even begin as JSON; `corrupt`; `resourceLimit` where it is longer than
    ///   `maximumLength`; `readFailed`.
    public init(_ file: ImageFile) throws(ImageError) {
        guard try FormatMarks.read(from: file).looksLikeJSON else {
            throw file.error(.notADisk, "This should be the catalogue of a VHD Set, and its content is something else.")
        }
        guard file.size <= Self.maximumLength else {
            throw file.error(.resourceLimit, "The catalogue is longer than \(Self.maximumLength >> 20) MiB.")
        }
        var bytes = [UInt8](repeating: 0, count: Int(file.size))
        try file.read(at: 0, into: &bytes)
        try self.init(decoding: bytes, name: file.name)
    }
}

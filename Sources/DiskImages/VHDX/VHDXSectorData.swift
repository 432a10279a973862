/// The bytes that a VHDX file itself holds of its virtual disk.
final class VHDXSectorData: SectorData {
    private let file: ReplayedFile
    private let structure: VHDXStructure
    private let geometry: VHDXGeometry
    private var blockTable: VHDXBlockTable

    init(_ image: VHDXImage) throws(ImageError) {
        file = image.structure.file
        structure = image.structure
        geometry = image.structure.geometry
        blockTable = try VHDXBlockTable(file: file, region: structure.regions.blockTable, geometry: geometry)
    }

    /// Blocks that may hold anything, and those that are not in the file, are read as zeroes.
    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(ImageError) {
        for part in BlockParts(at: offset, count: UInt64(buffer.count), blockShift: geometry.blockShift) {
            let bytes = UnsafeMutableRawBufferPointer(rebasing: buffer[part.inBuffer])
            let index = geometry.entryIndex(ofBlock: part.block)
            let entry = try blockTable.entry(index)
            switch entry.state {
            case .fullyPresent, .partiallyPresent:
                if let problem = structure.problem(withPlaceOf: entry, block: part.block, fileSize: file.size) {
                    throw file.corrupt(
                        problem,
                        at: blockTable.fileOffset(ofEntry: index),
                        detailCode: VHDXDetailCode.blockTableCorrupt
                    )
                }
                try file.read(at: entry.offset + part.range.lowerBound, into: bytes)
            case .notPresent, .undefined, .zero, .unmapped:
                bytes.initializeMemory(as: UInt8.self, repeating: 0)
            case nil:
                throw file.corrupt(
                    "The state of payload block \(part.block) does not exist.",
                    at: blockTable.fileOffset(ofEntry: index),
                    detailCode: VHDXDetailCode.blockTableCorrupt
                )
            }
        }
    }
}

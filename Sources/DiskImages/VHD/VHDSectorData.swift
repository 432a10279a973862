/// The bytes that a VHD file itself holds of its virtual disk.
final class VHDSectorData: SectorData {
    private let file: ImageFile
    private let structure: VHDStructure
    private var table: VHDBlockTable?

    init(_ image: VHDImage) {
        file = image.file
        structure = image.structure
        table = image.structure.dynamic?.table(in: image.file)
    }

    /// Blocks that are not in the file are read as zeroes.
    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(ImageError) {
        // A fixed disk's file begins with its content.
        guard let dynamic = structure.dynamic else { return try file.read(at: offset, into: buffer) }
        let geometry = dynamic.geometry
        for part in BlockParts(at: offset, count: UInt64(buffer.count), blockShift: geometry.blockShift) {
            let bytes = UnsafeMutableRawBufferPointer(rebasing: buffer[part.inBuffer])
            if let entry = try table?.entry(part.block) {
                if let problem = dynamic.problem(withPlaceOf: entry, block: part.block, dataEnd: structure.dataEnd) {
                    throw file.corrupt(
                        problem,
                        at: table?.fileOffset(ofEntry: part.block),
                        detailCode: VHDDetailCode.blockTableCorrupt
                    )
                }
                let data = UInt64(entry) << VHDFormat.sectorShift + geometry.bitmapLength
                try file.read(at: data + part.range.lowerBound, into: bytes)
            } else {
                bytes.initializeMemory(as: UInt8.self, repeating: 0)
            }
        }
    }
}

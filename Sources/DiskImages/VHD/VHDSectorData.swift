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
        var done = 0
        while done < buffer.count {
            let place = offset + UInt64(done)
            let block = place >> geometry.blockShift
            let inBlock = place & (geometry.blockSize - 1)
            let count = Int(min(UInt64(buffer.count - done), geometry.blockSize - inBlock))
            let part = UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + count])
            if let entry = try table?.entry(block) {
                if let problem = dynamic.problem(withPlaceOf: entry, block: block, dataEnd: structure.dataEnd) {
                    throw file.corrupt(
                        problem,
                        at: table?.fileOffset(ofEntry: block),
                        detailCode: VHDDetailCode.blockTableCorrupt
                    )
                }
                try file.read(at: UInt64(entry) << VHDFormat.sectorShift + geometry.bitmapLength + inBlock, into: part)
            } else {
                part.initializeMemory(as: UInt8.self, repeating: 0)
            }
            done += count
        }
    }
}

/// Everything of a VHDX file but its blocks: read when it is opened, and checked.
struct VHDXStructure {
    /// The file that all but the headers was read from.
    var file: ReplayedFile
    var current: VHDXCurrentHeader
    var regions: VHDXRegions
    var metadata: VHDXMetadata
    var geometry: VHDXGeometry

    /// - Throws: `corrupt`; `unsupported` for what this program does not know; `resourceLimit` for a log that holds too much
    ///   to be replayed; `readFailed`.
    static func read(from file: ImageFile) throws(ImageError) -> VHDXStructure {
        guard file.size >= VHDXFormat.headerSectionLength else {
            throw file.corrupt("The file ends inside its header section.", at: file.size)
        }
        let identifier = try file.bytes(at: 0, count: 8)
        guard identifier == Array("vhdxfile".utf8) else {
            throw file.corrupt("The file's first bytes are not those of a VHDX file.", at: 0)
        }
        let current = try VHDXCurrentHeader.read(from: file)
        let header = current.header
        let log = header.logOffset..<header.logOffset + UInt64(header.logLength)
        let replayed = try ReplayedFile(file, header: header)
        let regions = try VHDXRegions.read(from: replayed, log: log)
        let metadata = try VHDXMetadata.read(from: replayed, region: regions.metadata)
        return VHDXStructure(
            file: replayed,
            current: current,
            regions: regions,
            metadata: metadata,
            geometry: VHDXGeometry(metadata)
        )
    }

    /// What is wrong with the place of block `block`, whose state exists, in a file of `fileSize` bytes; nil where nothing
    /// is.
    func problem(withPlaceOf entry: VHDXBlockEntry, block: UInt64, fileSize: UInt64) -> String? {
        switch entry.state {
        // The field is reserved (2.5.1.1), and old versions of QEMU have filled it with numbers that mean nothing.
        case .notPresent, .zero: return nil
        // The block keeps its place for later, or has none.
        case .undefined where entry.offset == 0, .unmapped where entry.offset == 0: return nil
        default: break
        }
        // The last block's tail beyond the virtual disk's end need not be in the file.
        return problem(withPlaceAt: entry.offset, length: geometry.length(ofBlock: block), fileSize: fileSize)
            .map { "Payload block \(block) \($0)." }
    }

    /// As above, for a sector bitmap block.
    func problem(withPlaceOf entry: VHDXBlockEntry, bitmapOfChunk chunk: UInt64, fileSize: UInt64) -> String? {
        problem(withPlaceAt: entry.offset, length: VHDXFormat.bitmapBlockLength, fileSize: fileSize)
            .map { "Sector bitmap block \(chunk) \($0)." }
    }

    private func problem(withPlaceAt offset: UInt64, length: UInt64, fileSize: UInt64) -> String? {
        guard offset <= fileSize, length <= fileSize - offset else {
            return "is said to lie at offset \(offset), beyond the end of the file"
        }
        guard !regions.overlap(offset: offset, length: length) else {
            return "is said to lie at offset \(offset), where the file has another structure"
        }
        return nil
    }

    var description: ImageDescription {
        let diskType: ImageDescription.DiskType =
            metadata.hasParent ? .differencing : metadata.leavesBlocksAllocated ? .fixed : .dynamic
        let header = current.header
        return ImageDescription(
            format: .vhdx,
            diskType: diskType,
            virtualSize: metadata.virtualSize,
            blockSize: metadata.blockSize,
            logicalSectorSize: metadata.logicalSectorSize,
            physicalSectorSize: metadata.physicalSectorSize,
            virtualDiskID: metadata.virtualDiskID,
            identifier: header.dataWriteGUID,
            revision: "\(header.fileWriteGUID)\(header.dataWriteGUID)\(header.sequenceNumber)",
            parent: metadata.parent
        )
    }
}

/// A VHDX file as it is once its log is replayed ([MS-VHDX] 2.3.3), which happens in memory: the file is only read.
///
/// Everything but the headers and the log is read through it. Where the log is empty it is the file itself, at no cost.
struct ReplayedFile: StructureFile {
    /// Below it lie the file's identifier and the headers, which are never written by way of the log.
    private static let firstTarget = VHDXFormat.regionTableOffsets[0]

    let file: ImageFile
    /// In bytes, with what the log adds at the end.
    let size: UInt64
    /// Nil where the log is empty.
    let overlay: VHDXLogOverlay?
    private let logOffset: UInt64

    /// Looks for what is to be replayed, where `header` says that something is.
    ///
    /// - Throws: `corrupt` where there is no complete sequence of entries, where the file was cut short since, and where an
    ///   entry writes to what is not written so; `unsupported` for a field that is not known; `resourceLimit` where the
    ///   log holds more than this program replays.
    init(_ file: ImageFile, header: VHDXHeader) throws(ImageError) {
        self.file = file
        logOffset = header.logOffset
        guard header.logGUID != .zero else {
            size = file.size
            overlay = nil
            return
        }
        guard UInt64(header.logLength) <= VHDXLog.maximumLength else {
            throw file.error(
                .resourceLimit,
                "The log has \(header.logLength) bytes, more than the \(VHDXLog.maximumLength) that are searched for changes.",
                at: header.logOffset
            )
        }
        var log = VHDXLog(of: header, in: file)
        guard let sequence = try log.activeSequence() else {
            throw file.corrupt(
                "The file was not closed properly, and its log has no complete sequence of entries to replay: "
                    + "copy the file again from where it came from, or restore it from a backup.",
                at: header.logOffset
            )
        }
        let head = sequence.head
        let place = header.logOffset + head.position
        guard head.flushedFileOffset <= file.size else {
            throw file.corrupt(
                "The file was cut short: its log says that it had at least \(head.flushedFileOffset) bytes, "
                    + "and it has \(file.size).",
                at: place + 48
            )
        }
        guard head.lastFileOffset <= VHDXFormat.maximumFileSize else {
            throw file.corrupt(
                "The log makes the file \(head.lastFileOffset) bytes long, which no VHDX file is.",
                at: place + 56
            )
        }
        var size = max(file.size, head.lastFileOffset)
        var writes: [VHDXLogOverlay.Piece] = []
        let logSectors = log.offset..<log.offset + log.length
        try log.forEachDescriptor(of: sequence) { (descriptor, place, offset) throws(ImageError) in
            guard writes.count < VHDXLogOverlay.maximumDescriptorCount else {
                throw file.error(
                    .resourceLimit,
                    "The log holds more than the \(VHDXLogOverlay.maximumDescriptorCount) changes that are replayed.",
                    at: offset
                )
            }
            let length: UInt64
            let source: VHDXLogOverlay.Source
            switch descriptor.kind {
            case .zero(let count): (length, source) = (count, .zeroes)
            case .data: (length, source) = (VHDXLog.sectorLength, .log(place))
            }
            let start = descriptor.fileOffset
            guard length <= VHDXFormat.maximumFileSize, start <= VHDXFormat.maximumFileSize - length,
                start >= Self.firstTarget, start + length <= logSectors.lowerBound || start >= logSectors.upperBound
            else {
                throw file.corrupt(
                    "The log writes \(length) bytes at offset \(start), where nothing is written by way of the log.",
                    at: offset
                )
            }
            size = max(size, start + length)
            writes.append(
                VHDXLogOverlay.Piece(
                    sectors: start / VHDXLog.sectorLength..<(start + length) / VHDXLog.sectorLength,
                    source: source
                )
            )
        }
        self.size = size
        overlay = VHDXLogOverlay(writes)
    }

    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(ImageError) {
        guard let overlay else { return try file.read(at: offset, into: buffer) }
        try checkInside(offset: offset, count: UInt64(buffer.count))
        let stored = offset < file.size ? Int(min(UInt64(buffer.count), file.size - offset)) : 0
        if stored > 0 { try file.read(at: offset, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<stored])) }
        UnsafeMutableRawBufferPointer(rebasing: buffer[stored...]).initializeMemory(as: UInt8.self, repeating: 0)
        let end = offset + UInt64(buffer.count)
        for piece in overlay.pieces(from: offset / VHDXLog.sectorLength) {
            let start = piece.sectors.lowerBound * VHDXLog.sectorLength
            guard start < end else { break }
            let from = max(start, offset)
            let to = min(end, piece.sectors.upperBound * VHDXLog.sectorLength)
            let part = UnsafeMutableRawBufferPointer(rebasing: buffer[Int(from - offset)..<Int(to - offset)])
            switch piece.source {
            case .zeroes:
                part.initializeMemory(as: UInt8.self, repeating: 0)
            case .log(let place):
                let sector = try content(of: place)
                sector.withUnsafeBytes { bytes in
                    part.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[Int(from - start)..<Int(to - start)]))
                }
            }
        }
    }

    /// The 4 KiB that a data descriptor and its data sector describe (2.3.1.3).
    func content(of place: VHDXLogOverlay.Place) throws(ImageError) -> [UInt8] {
        let descriptorOffset = logOffset + UInt64(place.descriptor) * VHDXLogDescriptor.length
        let descriptor = try file.bytes(at: descriptorOffset, count: Int(VHDXLogDescriptor.length))
        var sector = try file.bytes(
            at: logOffset + UInt64(place.data) * VHDXLog.sectorLength,
            count: Int(VHDXLog.sectorLength)
        )
        sector.replaceSubrange(..<8, with: descriptor[8..<16])
        sector.replaceSubrange((sector.count - 4)..., with: descriptor[4..<8])
        return sector
    }

    /// An error about the file.
    func error(
        _ code: ImageError.Code,
        _ message: String,
        at offset: UInt64? = nil,
        detailCode: UInt32 = 0
    ) -> ImageError {
        file.error(code, message, at: offset, detailCode: detailCode)
    }
}

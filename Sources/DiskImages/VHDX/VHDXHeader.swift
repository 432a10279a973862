internal import ByteReading

/// One of the two headers of a VHDX file ([MS-VHDX] 2.2.2): the root from which everything else is found.
struct VHDXHeader: Equatable {
    static let length = 4_096
    static let signature: UInt32 = 0x6461_6568  // "head"

    var sequenceNumber: UInt64
    /// Changes with the first modification after each opening of the file.
    var fileWriteGUID: GUID
    /// Changes with the first modification of what the disk's user sees: the identity by which a child knows its parent.
    var dataWriteGUID: GUID
    /// Zero where the log is empty.
    var logGUID: GUID
    var logVersion: UInt16
    var version: UInt16
    var logLength: UInt32
    var logOffset: UInt64

    /// The header in `bytes`, or nil where the signature or the checksum says that it is none.
    init?(_ bytes: RawSpan) throws(OutOfBounds) {
        guard try bytes.littleEndian(UInt32.self, at: 0) == Self.signature else { return nil }
        guard try bytes.littleEndian(UInt32.self, at: 4) == CRC32C.checksum(bytes, checksumField: 4) else { return nil }
        sequenceNumber = try bytes.littleEndian(UInt64.self, at: 8)
        fileWriteGUID = try GUID(bytes, at: 16)
        dataWriteGUID = try GUID(bytes, at: 32)
        logGUID = try GUID(bytes, at: 48)
        logVersion = try bytes.littleEndian(UInt16.self, at: 64)
        version = try bytes.littleEndian(UInt16.self, at: 66)
        logLength = try bytes.littleEndian(UInt32.self, at: 68)
        logOffset = try bytes.littleEndian(UInt64.self, at: 72)
    }
}

/// Which header of a file counts.
struct VHDXCurrentHeader: Equatable {
    var header: VHDXHeader
    /// Its place in `VHDXFormat.headerOffsets`.
    var slot: Int

    /// Reads both headers and chooses the valid one with the higher sequence number.
    ///
    /// Two valid headers with the same number are what some writers leave; they are accepted where they say
    /// the same, for then it does not matter which one counts.
    ///
    /// - Throws: `corrupt` where there is no current header, `unsupported` for a version that is not known.
    static func read(from file: ImageFile) throws(ImageError) -> VHDXCurrentHeader {
        let offsets = VHDXFormat.headerOffsets
        let first = try file.bytes(at: offsets[0], count: VHDXHeader.length)
        let second = try file.bytes(at: offsets[1], count: VHDXHeader.length)
        let current: VHDXCurrentHeader
        switch (try parse(first, in: file, at: offsets[0]), try parse(second, in: file, at: offsets[1])) {
        case (nil, nil):
            throw file.corrupt("Neither header is valid.", at: offsets[0])
        case (let header?, nil):
            current = VHDXCurrentHeader(header: header, slot: 0)
        case (nil, let header?):
            current = VHDXCurrentHeader(header: header, slot: 1)
        case (let one?, let other?):
            guard one.sequenceNumber != other.sequenceNumber || one == other else {
                throw file.corrupt(
                    "Both headers have the sequence number \(one.sequenceNumber) and differ, so that neither is current.",
                    at: offsets[0]
                )
            }
            current =
                one.sequenceNumber >= other.sequenceNumber
                ? VHDXCurrentHeader(header: one, slot: 0) : VHDXCurrentHeader(header: other, slot: 1)
        }
        try check(current.header, in: file, at: offsets[current.slot])
        return current
    }

    private static func parse(
        _ bytes: [UInt8],
        in file: ImageFile,
        at offset: UInt64
    ) throws(ImageError) -> VHDXHeader? {
        do { return try VHDXHeader(bytes.span.bytes) } catch { throw file.corrupt("Header: \(error).", at: offset) }
    }

    private static func check(_ header: VHDXHeader, in file: ImageFile, at offset: UInt64) throws(ImageError) {
        guard header.version == 1 else {
            throw file.error(
                .unsupported,
                "The file has version \(header.version) of the VHDX format; this program knows version 1.",
                at: offset + 66,
                detailCode: VHDXDetailCode.unsupportedVersion
            )
        }
        // Where nothing is to be replayed, it does not matter how it would be.
        guard header.logVersion == 0 || header.logGUID == .zero else {
            throw file.error(
                .unsupported,
                "The log has version \(header.logVersion); this program knows version 0.",
                at: offset + 64,
                detailCode: VHDXDetailCode.unsupportedVersion
            )
        }
        let unit = VHDXFormat.mebibyte
        guard UInt64(header.logLength) % unit == 0, header.logOffset % unit == 0,
            header.logLength == 0 || header.logOffset >= VHDXFormat.headerSectionLength,
            header.logOffset <= file.size, UInt64(header.logLength) <= file.size - header.logOffset
        else {
            throw file.corrupt("The header places the log where none can be.", at: offset + 68)
        }
    }
}

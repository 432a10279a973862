internal import ByteReading

/// The dynamic disk header of a VHD file ("Dynamic Disk Header Format"): how a disk that is not fixed is cut into blocks,
/// and who its parent is.
struct VHDHeader {
    static let checksumField = 36
    private static let locatorCount = 8
    static let locatorStart = 576
    private static let locatorLength = 24

    struct Locator {
        var platform: UInt32
        /// In bytes. What the field before it says of the room is in sectors in some files and in bytes in others, and is
        /// not looked at.
        var length: UInt32
        var offset: UInt64
    }

    var tableOffset: UInt64
    var maximumEntryCount: UInt32
    var blockSize: UInt32
    var parentID: GUID
    /// When the parent was last modified, in seconds since the beginning of the year 2000; 0 where that was not recorded.
    var parentTimestamp: UInt32
    /// 512 bytes of UTF-16, most significant byte first.
    var parentName: [UInt8]
    var locators: [Locator]

    /// - Throws: `corrupt`, `unsupported` for a version that this program does not know, `readFailed`.
    static func read(from file: ImageFile, at offset: UInt64) throws(ImageError) -> VHDHeader {
        guard offset >= VHDFormat.footerLength, offset % VHDFormat.sectorSize == 0, offset <= file.size,
            file.size - offset >= VHDFormat.headerLength
        else {
            throw file.corrupt(
                "The footer places the dynamic disk header at offset \(offset), where none can be.",
                at: offset,
                detailCode: VHDDetailCode.footerCorrupt
            )
        }
        let bytes = try file.bytes(at: offset, count: Int(VHDFormat.headerLength))
        do {
            guard try bytes.span.bytes.bigEndian(UInt64.self, at: 0) == VHDFormat.headerCookie else {
                throw Refusal("The dynamic disk header is not there.", VHDDetailCode.headerCorrupt)
            }
            let checksum = try VHDFormat.checksum(bytes.span.bytes, field: checksumField)
            guard try bytes.span.bytes.bigEndian(UInt32.self, at: checksumField) == checksum else {
                throw Refusal("The checksum of the dynamic disk header is wrong.", VHDDetailCode.headerChecksum)
            }
            let version = try bytes.span.bytes.bigEndian(UInt32.self, at: 24)
            guard version >> 16 == VHDFormat.version >> 16 else {
                throw Refusal(
                    "The dynamic disk header has version \(version >> 16); this program knows version 1.",
                    VHDDetailCode.headerUnsupportedVersion,
                    code: .unsupported
                )
            }
            return try VHDHeader(bytes.span.bytes)
        } catch let refusal as Refusal {
            throw file.error(refusal.code, refusal.message, at: offset, detailCode: refusal.detailCode)
        } catch {
            throw file.corrupt("Dynamic disk header: \(error).", at: offset)
        }
    }

    private struct Refusal: Error {
        var message: String
        var detailCode: UInt32
        var code: ImageError.Code

        init(_ message: String, _ detailCode: UInt32, code: ImageError.Code = .corrupt) {
            self.message = message
            self.detailCode = detailCode
            self.code = code
        }
    }

    private init(_ bytes: RawSpan) throws(OutOfBounds) {
        tableOffset = try bytes.bigEndian(UInt64.self, at: 16)
        maximumEntryCount = try bytes.bigEndian(UInt32.self, at: 28)
        blockSize = try bytes.bigEndian(UInt32.self, at: 32)
        parentID = try GUID(bigEndian: bytes, at: 40)
        parentTimestamp = try bytes.bigEndian(UInt32.self, at: 56)
        parentName = try bytes.copyBytes(at: 64, count: 512)
        locators = []
        for index in 0..<Self.locatorCount {
            let start = Self.locatorStart + index * Self.locatorLength
            locators.append(
                Locator(
                    platform: try bytes.bigEndian(UInt32.self, at: start),
                    length: try bytes.bigEndian(UInt32.self, at: start + 8),
                    offset: try bytes.bigEndian(UInt64.self, at: start + 16)
                )
            )
        }
    }
}

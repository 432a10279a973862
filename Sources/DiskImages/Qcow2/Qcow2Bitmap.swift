internal import ByteReading

/// An entry of the bitmap directory.
struct Qcow2Bitmap: Equatable {
    var tableOffset: UInt64
    var tableCount: UInt32
    var flags: UInt32
    var type: UInt8
    var granularityBits: UInt8
    var extraLength: UInt32
    var name: String

    private static let fixedLength = 24

    private enum Flag {
        static let inUse: UInt32 = 1 << 0
        static let automatic: UInt32 = 1 << 1
        static let extraDataCompatible: UInt32 = 1 << 2
        static let known = inUse | automatic | extraDataCompatible
    }

    /// Reads the bitmap directory.
    ///
    /// - Returns: the bitmaps in the directory's order, and whether the file vouches for them. Where it does not, because it was
    ///   changed by a program that does not know bitmaps, a directory that makes no sense is taken for none.
    /// - Throws: `corrupt`; `resourceLimit` for a directory longer than this program reads; `readFailed`.
    static func readDirectory(
        of file: ImageFile,
        header: Qcow2Header,
        extensions: Qcow2Extensions
    ) throws(ImageError) -> (bitmaps: [Qcow2Bitmap], areConsistent: Bool) {
        let areConsistent = header.autoclear & Qcow2Format.Autoclear.bitmaps != 0
        guard let directory = extensions.bitmaps else {
            guard !areConsistent else {
                throw file.corrupt(
                    "The file says that it has bitmaps, and lacks the extension that places them.",
                    at: 88
                )
            }
            return ([], true)
        }
        do throws(ImageError) {
            return (try readDirectory(directory, of: file, header: header), areConsistent)
        } catch {
            guard error.code == .corrupt, !areConsistent else { throw error }
            return ([], false)
        }
    }

    private static func readDirectory(
        _ directory: Qcow2Extensions.Bitmaps,
        of file: ImageFile,
        header: Qcow2Header
    ) throws(ImageError) -> [Qcow2Bitmap] {
        let start = directory.directoryOffset
        guard directory.count > 0, directory.count <= Qcow2Format.maximumBitmaps else {
            throw file.corrupt("The header counts \(directory.count) bitmaps; there may be 1 to 65535.", at: start)
        }
        guard start != 0, start % header.clusterSize == 0,
            file.holds(offset: start, length: directory.directoryLength)
        else {
            throw file.corrupt("The header places the bitmap directory where none can be.", at: start)
        }
        guard directory.directoryLength <= Qcow2Format.maximumDirectoryLength,
            directory.count <= Qcow2Format.maximumDirectoryEntries
        else {
            throw file.error(.resourceLimit, "The bitmap directory is longer than this program reads.", at: start)
        }
        var reader = Qcow2EntryReader(file: file, offset: start, end: start + directory.directoryLength)
        var bitmaps: [Qcow2Bitmap] = []
        for _ in 0..<directory.count { bitmaps.append(try read(&reader, in: file)) }
        guard reader.remaining == 0 else {
            throw file.corrupt("The bitmap directory is longer than its entries.", at: reader.offset)
        }
        return bitmaps
    }

    private static func read(_ reader: inout Qcow2EntryReader, in file: ImageFile) throws(ImageError) -> Qcow2Bitmap {
        let place = reader.offset
        let fixed = try reader.next(fixedLength)
        var bitmap: Qcow2Bitmap
        let nameLength: UInt16
        do throws(OutOfBounds) {
            let bytes = fixed.span.bytes
            bitmap = Qcow2Bitmap(
                tableOffset: try bytes.bigEndian(UInt64.self, at: 0),
                tableCount: try bytes.bigEndian(UInt32.self, at: 8),
                flags: try bytes.bigEndian(UInt32.self, at: 12),
                type: try bytes.bigEndian(UInt8.self, at: 16),
                granularityBits: try bytes.bigEndian(UInt8.self, at: 17),
                extraLength: try bytes.bigEndian(UInt32.self, at: 20),
                name: ""
            )
            nameLength = try bytes.bigEndian(UInt16.self, at: 18)
        } catch {
            throw file.corrupt("Bitmap directory: \(error).", at: place)
        }
        guard nameLength > 0, bitmap.granularityBits < 64 else {
            throw file.corrupt("A bitmap has no name, or a granularity that cannot be.", at: place)
        }
        try reader.skip(UInt64(bitmap.extraLength))
        bitmap.name = String(decoding: try reader.next(Int(nameLength)), as: UTF8.self)
        reader.skipPadding(after: reader.offset - place)
        return bitmap
    }

    var granularity: UInt64 { 1 << UInt64(granularityBits) }

    /// What may be concluded from the bitmap, in a file that vouches for its bitmaps. A bitmap of an unknown type, with an
    /// unknown flag or with unknown data that is not marked as harmless must not be used.
    var condition: RecordedPoint.Condition {
        let isUnderstood =
            type == 1 && flags & ~Flag.known == 0 && (extraLength == 0 || flags & Flag.extraDataCompatible != 0)
        guard isUnderstood, flags & Flag.inUse == 0 else { return .inconsistent }
        return flags & Flag.automatic != 0 ? .usable : .disabled
    }

    func point(areConsistent: Bool) -> RecordedPoint {
        RecordedPoint(
            kind: .bitmap,
            id: name,
            name: name,
            granularity: granularity,
            condition: areConsistent ? condition : .inconsistent
        )
    }
}

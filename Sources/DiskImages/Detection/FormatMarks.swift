internal import ByteReading

/// The bytes by which a file shows its format, whatever its name.
struct FormatMarks {
    /// "vhdxfile" at the file's start.
    var hasVHDXIdentifier = false
    /// The signature of a VHDX header or region table where one belongs, or a first part of "vhdxfile" in a file that is
    /// too short for all of it: what is left of a VHDX file whose start is damaged.
    var hasOtherVHDXMark = false
    /// "conectix" at the file's start or in its last 512 bytes, or "cxsparse" behind the first.
    var hasVHDMark = false
    /// "QFI\xFB" at the file's start.
    var hasQcow2Mark = false
    /// A version and a cluster size where a qcow2 header has them, or a first part of the mark in a file that is too short
    /// for all of it: what is left of a qcow2 file whose start is damaged.
    var hasOtherQcow2Mark = false
    /// A brace or a bracket as the first thing that is not white space, perhaps behind a byte order mark.
    var looksLikeJSON = false

    private static let cookie: UInt64 = 0x636F_6E65_6374_6978  // "conectix"
    private static let sparseCookie: UInt64 = 0x6378_7370_6172_7365  // "cxsparse"
    private static let qcow2: UInt32 = 0x5146_49FB

    static func read(from file: ImageFile) throws(ImageError) -> FormatMarks {
        var marks = FormatMarks()
        let start = try file.bytes(at: 0, count: Int(min(file.size, 1_024)))
        if file.size < 8 {
            marks.hasOtherVHDXMark = !start.isEmpty && "vhdxfile".utf8.starts(with: start)
        }
        marks.hasVHDXIdentifier = start.starts(with: "vhdxfile".utf8)
        marks.hasQcow2Mark = number(UInt32.self, in: start, at: 0) == qcow2
        if let version = number(UInt32.self, in: start, at: 4), let bits = number(UInt32.self, in: start, at: 20) {
            marks.hasOtherQcow2Mark = (2...3).contains(version) && Qcow2Format.clusterBits.contains(bits)
        } else if file.size < 4 {
            marks.hasOtherQcow2Mark = !start.isEmpty && [0x51, 0x46, 0x49].starts(with: start)
        }
        marks.hasVHDMark =
            number(UInt64.self, in: start, at: 0) == cookie || number(UInt64.self, in: start, at: 512) == sparseCookie
        if file.size >= 512 {
            let footer = try file.bytes(at: file.size - 512, count: 9)
            // Some old writers left a footer of 511 bytes.
            if number(UInt64.self, in: footer, at: 0) == cookie || number(UInt64.self, in: footer, at: 1) == cookie {
                marks.hasVHDMark = true
            }
        }
        marks.looksLikeJSON = CatalogueText.looksLikeJSON(start)
        let places =
            VHDXFormat.headerOffsets.map { ($0, VHDXHeader.signature) }
            + VHDXFormat.regionTableOffsets.map { ($0, VHDXRegionTable.signature) }
        for (offset, signature) in places where file.size >= offset + 4 {
            let bytes = try file.bytes(at: offset, count: 4)
            if number(UInt32.self, in: bytes, at: 0)?.byteSwapped == signature { marks.hasOtherVHDXMark = true }
        }
        return marks
    }

    /// The big-endian number at `offset`; nil where the bytes end before.
    private static func number<T: FixedWidthInteger & BitwiseCopyable>(
        _ type: T.Type,
        in bytes: [UInt8],
        at offset: Int
    ) -> T? {
        do { return try bytes.span.bytes.bigEndian(type, at: offset) } catch { return nil }
    }
}

internal import ByteReading

/// What the header extensions of a qcow2 file say, as far as a reader needs it.
struct Qcow2Extensions: Equatable {
    /// The bitmaps extension.
    struct Bitmaps: Equatable {
        var count: UInt32
        var directoryLength: UInt64
        var directoryOffset: UInt64
    }

    private enum Kind {
        static let end: UInt32 = 0
        static let backingFormat: UInt32 = 0xE279_2ACA
        static let featureNames: UInt32 = 0x6803_F857
        static let bitmaps: UInt32 = 0x2385_2875
        static let dataFileName: UInt32 = 0x4441_5441
        static let known = [backingFormat, featureNames, bitmaps, dataFileName]
    }

    var backingFormat: String?
    var dataFileName: [UInt8]?
    var bitmaps: Bitmaps?
    /// The names of incompatible features by the number of their bit.
    var featureNames: [UInt8: String] = [:]

    /// - Throws: `corrupt` where an extension does not fit or is there twice, `readFailed`.
    static func read(from file: ImageFile, header: Qcow2Header) throws(ImageError) -> Qcow2Extensions {
        var extensions = Qcow2Extensions()
        var reader = Qcow2EntryReader(file: file, offset: UInt64(header.length), end: header.endOfExtensions)
        var seen: Set<UInt32> = []
        while reader.remaining >= 8 {
            let place = reader.offset
            let frame = try reader.next(8)
            let (kind, length) = try parse(in: file, at: place) { () throws(OutOfBounds) in
                let bytes = frame.span.bytes
                return (try bytes.bigEndian(UInt32.self, at: 0), try bytes.bigEndian(UInt32.self, at: 4))
            }
            if kind == Kind.end { break }
            guard UInt64(length) <= reader.remaining else {
                throw file.corrupt("A header extension of \(length) bytes goes beyond its area.", at: place)
            }
            if Kind.known.contains(kind) {
                guard seen.insert(kind).inserted else {
                    throw file.corrupt("A header extension that may be there once is there twice.", at: place)
                }
                // The longest that can say something: a name for each of 3 x 64 features.
                guard length <= 48 * 192 else {
                    throw file.corrupt("A header extension of \(length) bytes is too long for its kind.", at: place)
                }
                let data = try reader.next(Int(length))
                try parse(in: file, at: place) { () throws(OutOfBounds) in try extensions.take(data, kind: kind) }
            } else {
                try reader.skip(UInt64(length))
            }
            reader.skipPadding(after: UInt64(length))
        }
        return extensions
    }

    private static func parse<T>(
        in file: ImageFile,
        at place: UInt64,
        _ body: () throws(OutOfBounds) -> T
    ) throws(ImageError) -> T {
        do { return try body() } catch { throw file.corrupt("Header extension: \(error).", at: place) }
    }

    private mutating func take(_ data: [UInt8], kind: UInt32) throws(OutOfBounds) {
        let bytes = data.span.bytes
        switch kind {
        case Kind.backingFormat:
            backingFormat = String(decoding: data, as: UTF8.self)
        case Kind.dataFileName:
            dataFileName = data
        case Kind.bitmaps:
            bitmaps = Bitmaps(
                count: try bytes.bigEndian(UInt32.self, at: 0),
                directoryLength: try bytes.bigEndian(UInt64.self, at: 8),
                directoryOffset: try bytes.bigEndian(UInt64.self, at: 16)
            )
        default:
            for start in stride(from: 0, through: data.count - 48, by: 48) {
                guard try bytes.bigEndian(UInt8.self, at: start) == 0 else { continue }
                let name = try bytes.copyBytes(at: start + 2, count: 46).prefix { $0 != 0 }
                featureNames[try bytes.bigEndian(UInt8.self, at: start + 1)] = String(decoding: name, as: UTF8.self)
            }
        }
    }

    /// Refuses a file that needs something this program does not know, by the name that the file has for it.
    func checkFeatures(of header: Qcow2Header, in file: ImageFile) throws(ImageError) {
        let unknown = header.incompatible & ~Qcow2Format.Incompatible.known
        guard unknown != 0 else { return }
        let names = (0..<UInt8(64)).filter { unknown >> UInt64($0) & 1 == 1 }
            .map { bit in featureNames[bit].map { "\"\($0)\"" } ?? "number \(bit)" }
        throw file.error(
            .unsupported,
            "The file needs what this program does not know: the incompatible feature \(names.joined(separator: ", ")).",
            at: 72
        )
    }
}

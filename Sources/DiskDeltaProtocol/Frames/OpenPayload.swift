internal import ByteReading

/// What an OPEN frame carries before the request. Section 6 of `Docs/Protocol.md`.
public struct OpenPayload: Hashable, Sendable {
    /// The longest path in bytes.
    public static let maximumPathByteCount = 255

    /// `diskdelta.v1.ImageManagement/GetVirtualDiskChanges`.
    public let path: String
    public let metadata: Metadata

    /// Nil where the path is not one (P-24).
    public init?(path: String, metadata: Metadata = Metadata()) {
        guard Self.isAllowed(path) else { return nil }
        self.path = path
        self.metadata = metadata
    }

    /// The length in bytes; the request starts there.
    public var byteCount: Int { 4 + path.utf8.count + metadata.byteCount }

    /// Appends all that comes before the request.
    public func encode(into sink: inout some ByteSink) {
        sink.append(bigEndian: UInt16(truncatingIfNeeded: path.utf8.count))
        sink.append(bigEndian: UInt16(truncatingIfNeeded: metadata.byteCount))
        sink.append(utf8: path[...].utf8)
        metadata.encode(into: &sink)
    }

    /// Reads what comes before the request, which starts at ``byteCount``.
    public init(decoding bytes: RawSpan) throws(ProtocolError) {
        let pathCount: Int
        let metadataCount: Int
        let path: String
        do {
            pathCount = Int(try bytes.bigEndian(UInt16.self, at: 0))
            metadataCount = Int(try bytes.bigEndian(UInt16.self, at: 2))
            guard pathCount <= Self.maximumPathByteCount, metadataCount <= Metadata.maximumByteCount else {
                throw ProtocolError(
                    .violation,
                    "An OPEN has a path of \(pathCount) bytes and metadata of \(metadataCount) (P-24)."
                )
            }
            path = String(decoding: try bytes.copyBytes(at: 4, count: pathCount), as: UTF8.self)
        } catch let error as ProtocolError {
            throw error
        } catch {
            throw ProtocolError(.violation, "An OPEN is cut short (P-24): \(error).")
        }
        guard Self.isAllowed(path) else {
            throw ProtocolError(.violation, "The path of an OPEN is not SERVICE/METHOD (P-24).")
        }
        self.path = path
        metadata = try Metadata(decoding: bytes, at: 4 + pathCount, count: metadataCount)
    }

    private static func isAllowed(_ path: String) -> Bool {
        let bytes = path.utf8
        let slash = UInt8(ascii: "/")
        guard (1...maximumPathByteCount).contains(bytes.count), bytes.first != slash, bytes.last != slash else {
            return false
        }
        var slashes = 0
        for byte in bytes {
            switch byte {
            case slash: slashes += 1
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"), UInt8(ascii: "."):
                break
            default: return false
            }
        }
        return slashes == 1
    }
}

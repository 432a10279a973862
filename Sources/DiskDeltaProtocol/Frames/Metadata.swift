internal import ByteReading

/// Named values that travel beside a call: before it in OPEN, after it in END as trailers.
public struct Metadata: Hashable, Sendable {
    /// The longest encoding in bytes.
    public static let maximumByteCount = 8_192

    public struct Entry: Hashable, Sendable {
        /// 1 to 255 characters of `0-9 a-z _ . -`.
        public let key: String
        /// Any bytes.
        public let value: [UInt8]
    }

    /// In the order in which they travel. A key may occur more than once.
    public private(set) var entries: [Entry]

    /// The length of the encoding in bytes.
    public private(set) var byteCount: Int

    /// No entries.
    public init() {
        entries = []
        byteCount = 0
    }

    /// Adds an entry. False, and nothing is added, where the key is not allowed or the whole would be too long.
    public mutating func append(_ key: String, _ value: [UInt8]) -> Bool {
        guard Self.isAllowed(key), value.count <= Self.maximumByteCount else { return false }
        let cost = 3 + key.utf8.count + value.count
        guard cost <= Self.maximumByteCount - byteCount else { return false }
        entries.append(Entry(key: key, value: value))
        byteCount += cost
        return true
    }

    /// The value of the first entry with this key.
    public subscript(key: String) -> [UInt8]? {
        entries.first { $0.key == key }?.value
    }

    /// Appends the entries, without their length.
    public func encode(into sink: inout some ByteSink) {
        for entry in entries {
            sink.append(bigEndian: UInt8(truncatingIfNeeded: entry.key.utf8.count))
            sink.append(utf8: entry.key[...].utf8)
            sink.append(bigEndian: UInt16(truncatingIfNeeded: entry.value.count))
            sink.append(contentsOf: entry.value)
        }
    }

    /// Reads the entries from the `count` bytes at `offset`. Throws where they do not end with an entry, or are not
    /// allowed (P-24).
    init(decoding bytes: RawSpan, at offset: Int, count: Int) throws(ProtocolError) {
        self.init()
        do {
            try bytes.check(offset: offset, count: count)
            let bytes = bytes.extracting(offset..<offset + count)
            var position = 0
            while position < count {
                let keyCount = Int(try bytes.bigEndian(UInt8.self, at: position))
                let key = String(decoding: try bytes.copyBytes(at: position + 1, count: keyCount), as: UTF8.self)
                let valueCount = Int(try bytes.bigEndian(UInt16.self, at: position + 1 + keyCount))
                let value = try bytes.copyBytes(at: position + 3 + keyCount, count: valueCount)
                guard append(key, value) else {
                    throw ProtocolError(.violation, "A metadata key is not allowed, or metadata is too long (P-24).")
                }
                position += 3 + keyCount + valueCount
            }
        } catch let error as OutOfBounds {
            throw ProtocolError(.violation, "Metadata is cut short (P-24): \(error).")
        } catch let error as ProtocolError {
            throw error
        } catch {
            throw ProtocolError(.violation, "Metadata is malformed (P-24).")
        }
    }

    private static func isAllowed(_ key: String) -> Bool {
        (1...255).contains(key.utf8.count)
            && key.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                    UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "-"):
                    true
                default: false
                }
            }
    }
}

public import DiskImages

/// Makes the log of a VHDX file, entry by entry as [MS-VHDX] 2.3 lays it out, without the code under test.
///
/// It writes like a program that goes on and on: each entry lies behind the one before, and the ring is closed. Every field
/// can be set to something wrong.
public struct LogBuilder {
    public static let sectorLength = 4_096

    /// What one descriptor writes.
    public enum Write: Sendable {
        /// 4 KiB.
        case data([UInt8], at: UInt64)
        case zeroes(length: UInt64, at: UInt64)
    }

    public struct Entry {
        public var guid: GUID
        public var sequenceNumber: UInt64
        /// In bytes from the start of the log; nil for the entry itself.
        public var tail: UInt64?
        public var writes: [Write]
        public var flushedFileOffset: UInt64 = 0
        public var lastFileOffset: UInt64 = 0
        /// Sectors that are left over behind the data.
        public var spareSectorCount = 0
        /// Changes the bytes of the entry before they get their checksum.
        public var damage: (inout [UInt8]) -> Void = { _ in }
        public var hasGoodChecksum = true

        public init(guid: GUID, sequenceNumber: UInt64, tail: UInt64? = nil, writes: [Write] = []) {
            self.guid = guid
            self.sequenceNumber = sequenceNumber
            self.tail = tail
            self.writes = writes
        }

        /// In bytes.
        public var length: Int {
            let dataCount = writes.count { if case .data = $0 { true } else { false } }
            return (descriptorSectorCount + dataCount + spareSectorCount) * LogBuilder.sectorLength
        }

        private var descriptorSectorCount: Int { (64 + writes.count * 32 + 4_095) / LogBuilder.sectorLength }

        fileprivate func bytes(position: UInt64) -> [UInt8] {
            var bytes = Array("loge".utf8) + number(UInt32(0)) + number(UInt32(length))
            bytes += number(UInt32(tail ?? position)) + number(sequenceNumber)
            bytes += number(UInt32(writes.count)) + number(UInt32(0)) + guidBytes(guid)
            bytes += number(flushedFileOffset) + number(lastFileOffset)
            var sectors: [UInt8] = []
            for write in writes {
                switch write {
                case .data(let content, let offset):
                    bytes += Array("desc".utf8) + content[4_092...] + content[..<8] + number(offset)
                    sectors += Array("data".utf8) + number(UInt32(sequenceNumber >> 32)) + content[8..<4_092]
                    sectors += number(UInt32(truncatingIfNeeded: sequenceNumber))
                case .zeroes(let length, let offset):
                    bytes += Array("zero".utf8) + number(UInt32(0)) + number(length) + number(offset)
                }
                bytes += number(sequenceNumber)
            }
            bytes += [UInt8](repeating: 0, count: descriptorSectorCount * LogBuilder.sectorLength - bytes.count)
            bytes += sectors
            bytes += [UInt8](repeating: 0, count: length - bytes.count)
            damage(&bytes)
            let checked = VHDXBuilder.checksummed(bytes, length: bytes.count)
            if hasGoodChecksum { return checked }
            bytes.replaceSubrange(4..<8, with: checked[4..<8].map { ~$0 })
            return bytes
        }
    }

    /// In bytes: a multiple of 1 MiB.
    public let length: Int
    /// Where the next entry goes, in bytes from the start of the log.
    public var position: Int
    /// The log as it stands in the file.
    public private(set) var bytes: [UInt8]

    public init(length: Int = 1 << 20, position: Int = 0) {
        self.length = length
        self.position = position
        bytes = [UInt8](repeating: 0, count: length)
    }

    /// Writes an entry at `position`, over what is there, and on at the log's start where it does not fit.
    ///
    /// - Returns: where it begins.
    @discardableResult public mutating func append(_ entry: Entry) -> UInt64 {
        let start = position
        let content = entry.bytes(position: UInt64(start))
        let split = min(content.count, length - start)
        bytes.replaceSubrange(start..<start + split, with: content[..<split])
        bytes.replaceSubrange(..<(content.count - split), with: content[split...])
        position = (start + entry.length) % length
        return UInt64(start)
    }

    /// Leaves out some sectors, with what is there.
    public mutating func skip(sectors: Int) {
        position = (position + sectors * Self.sectorLength) % length
    }
}

private func number<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
    (0..<MemoryLayout<T>.size).map { UInt8(truncatingIfNeeded: value >> T($0 * 8)) }
}

private func guidBytes(_ value: GUID) -> [UInt8] {
    number(UInt32(value.high >> 32)) + number(UInt16(truncatingIfNeeded: value.high >> 16))
        + number(UInt16(truncatingIfNeeded: value.high)) + number(value.low).reversed()
}

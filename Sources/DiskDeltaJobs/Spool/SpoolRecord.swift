internal import DiskImages

/// The head of a record of a spool.
///
/// A spool is the ranges of one answer: records one after the other, each of a head of 32 bytes and a payload, from the start
/// of the window on without a gap. All numbers are little-endian.
///
///     0   4  how many bytes of payload follow; 0 where there is no range
///     4   4  CRC-32C of the payload
///     8   8  where the record starts, in bytes of the disk: where the one before it ended
///     16  8  where it ends: everything below is answered for
///     24  1  the unit of the payload, as a power of two
///     25  3  zeroes
///     28  4  CRC-32C of the job's id (16 bytes, most significant first) and of the bytes 0 to 27
///
/// The payload is a RangeAnswer with runs or a bitmap, whose position is the start of the record. What a crash left half
/// written lies behind the length that the row of the job tells, and is cut off. So every record that counts was on the medium
/// before the row was, and one that does not agree with its checksums, or does not start where the one before it ended, is
/// damage: no other job's record, none from another place and no part of one passes for it.
struct SpoolRecord: Hashable, Sendable {
    static let headLength = 32

    /// Far more than a message of 256 KiB: what a record may say that its payload takes.
    static let maximumPayload = 1 << 20

    var payloadLength: Int
    var payloadChecksum: UInt32
    var start: UInt64
    var end: UInt64
    /// In bytes.
    var unit: UInt64

    init(payload: [UInt8], start: UInt64, end: UInt64, unit: UInt64) {
        payloadLength = payload.count
        payloadChecksum = Self.checksum(payload)
        self.start = start
        self.end = end
        self.unit = unit
    }

    /// The head that `bytes` are, of a spool of the job `id`; nil where they are none.
    init?(_ bytes: [UInt8], of id: GUID) {
        guard bytes.count == Self.headLength, bytes[24] < 64, bytes[25..<28].allSatisfy({ $0 == 0 }) else { return nil }
        func number(_ start: Int, _ count: Int) -> UInt64 {
            bytes[start..<start + count].reversed().reduce(0) { $0 << 8 | UInt64($1) }
        }
        guard number(28, 4) == UInt64(Self.checksum(of: bytes, id)) else { return nil }
        let length = number(0, 4)
        guard length <= UInt64(Self.maximumPayload) else { return nil }
        payloadLength = Int(length)
        payloadChecksum = UInt32(truncatingIfNeeded: number(4, 4))
        start = number(8, 8)
        end = number(16, 8)
        unit = 1 << UInt64(bytes[24])
        guard start < end else { return nil }
    }

    /// The head as it stands in a spool of the job `id`.
    func bytes(of id: GUID) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.headLength)
        func add(_ value: UInt64, _ count: Int) {
            for index in 0..<count { bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(8 * index))) }
        }
        add(UInt64(payloadLength), 4)
        add(UInt64(payloadChecksum), 4)
        add(start, 8)
        add(end, 8)
        add(UInt64(unit.trailingZeroBitCount), 1)
        add(0, 3)
        add(UInt64(Self.checksum(of: bytes, id)), 4)
        return bytes
    }

    func matches(payload: [UInt8]) -> Bool {
        payload.count == payloadLength && Self.checksum(payload) == payloadChecksum
    }

    private static func checksum(_ bytes: [UInt8]) -> UInt32 {
        var crc = CRC32C()
        crc.update(bytes.span.bytes)
        return crc.value
    }

    /// Of the id and what stands before the checksum.
    private static func checksum(of head: [UInt8], _ id: GUID) -> UInt32 {
        var covered = [id.high, id.low].flatMap { word in
            (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(56 - 8 * $0)) }
        }
        covered += head.prefix(28)
        return checksum(covered)
    }
}

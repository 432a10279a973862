internal import DiskDeltaProtocol
internal import DiskImages
internal import Glibc

/// Appends the batches of an answer to the spool of its job.
///
/// A batch without ranges takes no record of its own: it is told with the next, or when what was written is made sure of.
final class SpoolWriter {
    private let file: SpoolFile
    private let id: GUID
    /// The bytes that are written.
    private(set) var length: UInt64
    /// Where the records end, in bytes of the disk.
    private var recordedEnd: UInt64
    /// Where the answer is; above `recordedEnd` where the last batches had no ranges.
    private(set) var position: UInt64

    /// Opens the spool at `path`, made where `length` is 0, and cuts off what a crash left behind its first `length` bytes.
    ///
    /// - Parameter position: where those bytes end, in bytes of the disk.
    /// - Throws: `internal` where the file has not even those.
    init(_ path: String, id: GUID, length: UInt64, position: UInt64) throws(CallError) {
        file = try SpoolFile(path, flags: O_RDWR | (length == 0 ? O_CREAT : 0))
        guard try file.length() >= length else { throw CallError(spoolDamagedAt: try file.length()) }
        try file.truncate(to: length)
        self.id = id
        self.length = length
        self.position = position
        recordedEnd = position
    }

    /// Appends a batch that reaches from where the one before it ended to `end`.
    ///
    /// - Parameter unit: what it counts in.
    func append(_ batch: RangeAnswer, hasRanges: Bool, end: UInt64, unit: UInt64) throws(CallError) {
        if hasRanges {
            try recordEmptiness()
            try write(try Self.encoded(batch), end: end, unit: unit)
        }
        position = end
    }

    /// Returns when everything so far is on the medium.
    func synchronize() throws(CallError) {
        try recordEmptiness()
        try file.synchronize()
    }

    private func recordEmptiness() throws(CallError) {
        if position > recordedEnd { try write([], end: position, unit: 1) }
    }

    private func write(_ payload: [UInt8], end: UInt64, unit: UInt64) throws(CallError) {
        guard payload.count <= SpoolRecord.maximumPayload else {
            throw CallError(.internal, "A batch of \(payload.count) bytes is longer than a spool takes")
        }
        let record = SpoolRecord(payload: payload, start: recordedEnd, end: end, unit: unit)
        let bytes = record.bytes(of: id) + payload
        try file.write(bytes, at: length)
        length += UInt64(bytes.count)
        recordedEnd = end
    }

    private static func encoded(_ batch: RangeAnswer) throws(CallError) -> [UInt8] {
        do {
            return try batch.encode()
        } catch {
            throw CallError(unencodableAnswer: error)
        }
    }
}

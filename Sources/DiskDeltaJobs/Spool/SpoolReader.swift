internal import DiskDeltaProtocol
internal import DiskImages

/// Reads the records of a spool, one after the other, and notices when they are not what was written.
final class SpoolReader {
    /// A record, with the batch that is its payload; nil where it has no ranges.
    struct Piece {
        let record: SpoolRecord
        let batch: RangeAnswer?
    }

    private let file: SpoolFile?
    private let id: GUID
    /// How many bytes of the file count.
    private let length: UInt64
    private let windowEnd: UInt64
    /// The place of the next record in the file.
    private var place: UInt64 = 0
    /// Where the next record must start, in bytes of the disk.
    private(set) var position: UInt64

    /// - Parameter file: nil where nothing was written.
    init(_ file: SpoolFile?, id: GUID, length: UInt64, window: Range<UInt64>) throws(CallError) {
        self.file = file
        self.id = id
        self.length = length
        windowEnd = window.upperBound
        position = window.lowerBound
        guard let file else { return }
        let there = try file.length()
        guard there >= length else { throw CallError(spoolDamagedAt: there) }
    }

    /// The next record that has something at `wanted` or above; nil behind the last one, which must reach the end of the
    /// window. Of what lies below only the heads are read.
    func next(from wanted: UInt64) throws(CallError) -> Piece? {
        while place < length {
            let record = try head()
            let payloadPlace = place + UInt64(SpoolRecord.headLength)
            let next = payloadPlace + UInt64(record.payloadLength)
            guard record.start == position, record.end <= windowEnd, next <= length else {
                throw CallError(spoolDamagedAt: place)
            }
            let batch = record.end > wanted ? try payload(of: record, at: payloadPlace) : nil
            place = next
            position = record.end
            if record.end > wanted { return Piece(record: record, batch: batch) }
        }
        guard position == windowEnd else { throw CallError(spoolDamagedAt: place) }
        return nil
    }

    private func head() throws(CallError) -> SpoolRecord {
        let bytes = try file?.read(SpoolRecord.headLength, at: place) ?? []
        guard let record = SpoolRecord(bytes, of: id) else { throw CallError(spoolDamagedAt: place) }
        return record
    }

    private func payload(of record: SpoolRecord, at payloadPlace: UInt64) throws(CallError) -> RangeAnswer? {
        guard record.payloadLength > 0 else { return nil }
        let bytes = try file?.read(record.payloadLength, at: payloadPlace) ?? []
        guard record.matches(payload: bytes), let batch = try? RangeAnswer(decoding: bytes) else {
            throw CallError(spoolDamagedAt: place)
        }
        return batch
    }
}

extension CallError {
    /// A spool that is not what was written.
    ///
    /// - Parameter place: in bytes of the file.
    init(spoolDamagedAt place: UInt64) {
        self.init(.internal, "The results of the job are damaged, at byte \(place) of their file: start it again")
    }
}

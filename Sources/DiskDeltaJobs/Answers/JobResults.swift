internal import ChangeQuery
internal import DiskDeltaProtocol
internal import DiskDeltaService

/// The answer of a job that is completed, from an offset on: what a direct answer to the same question would be, with the
/// header of the time when the job was started.
final class JobResults: ResponseStream {
    private let record: JobRecord
    private let offset: UInt64
    private let unit: UInt64
    private let reader: SpoolReader
    private var packer: RangePacker
    private var isHeaderGiven = false
    private var isFinished = false
    /// The batch of the spool that is being handed on.
    private var ranges: BatchRanges?

    /// - Parameters:
    ///   - offset: where to begin, in bytes; 0 means the start of the window.
    ///   - maximumMessage: the longest message, in bytes, that is taken.
    /// - Throws: `offsetOutOfRange` for an offset outside the window, `invalidParameter` for one that is no multiple of the
    ///   sector, `internal` where the spool is not there as it was written.
    init(
        _ record: JobRecord,
        from offset: UInt64,
        in spools: SpoolFolder,
        maximumMessage: Int
    ) throws(CallError) {
        let start = record.header.windowOffset
        let offset = offset == 0 ? start : offset
        guard start <= offset, offset <= record.windowEnd else {
            throw CallError(
                .offsetOutOfRange,
                "The offset \(offset) is outside the window of the job, \(start) to \(record.windowEnd)"
            )
        }
        guard offset % record.sector == 0 || offset == record.windowEnd || offset == start else {
            throw CallError(
                .invalidParameter,
                "The offset \(offset) is not a multiple of the \(record.sector)-byte sector"
            )
        }
        self.record = record
        self.offset = offset
        // The largest power of two that divides both; an empty window may start anywhere.
        let boundaries = offset == record.windowEnd ? record.header.unit : record.header.unit | offset
        unit = boundaries & (~boundaries &+ 1)
        reader = try spools.reader(record.id, length: record.spoolLength, window: start..<record.windowEnd)
        do throws(QueryError) {
            packer = try RangePacker(from: offset, to: record.windowEnd, unit: unit, maximumMessage: maximumMessage)
        } catch {
            throw CallError(error)
        }
    }

    func next() async throws(CallError) -> RangeAnswer? {
        guard isHeaderGiven else {
            isHeaderGiven = true
            return RangeAnswer(part: .header(header))
        }
        guard !isFinished, offset < record.windowEnd else { return nil }
        do throws(CallError) {
            return RangeAnswer(try batch())
        } catch {
            var error = error
            error.resumeOffset = packer.processedEnd
            throw error
        }
    }

    var totals: AnswerTotals? {
        let totals = packer.totals
        return AnswerTotals(
            processed: record.windowEnd &- offset,
            ranges: totals.ranges,
            bytes: totals.bytes,
            dataBytes: totals.dataBytes,
            zeroBytes: totals.zeroBytes,
            offsetSum: totals.offsetSum
        )
    }

    var resumeOffset: UInt64? { packer.processedEnd }

    private var header: AnswerHeader {
        var header = record.header
        header.unit = unit
        header.windowOffset = offset
        header.windowLength = record.windowEnd &- offset
        return header
    }

    private func batch() throws(CallError) -> RangeBatch {
        do throws(QueryError) {
            try packer.prepare()
        } catch {
            throw CallError(error)
        }
        while true {
            guard !Task.isCancelled else { throw CallError(.cancelled, "The call was cancelled") }
            while let range = try ranges?.next() {
                packer.add(from: range.start, to: range.end, kind: range.kind)
                if packer.isFull { return packer.take(upTo: range.end) }
            }
            guard let piece = try reader.next(from: offset) else { break }
            ranges = try piece.batch.map { batch throws(CallError) in try self.ranges(of: batch, piece.record) }
        }
        isFinished = true
        let last = packer.takeLast()
        guard offset > record.header.windowOffset || totals == record.totals else {
            throw CallError(.internal, "The results of the job do not agree with its totals: start it again")
        }
        return last
    }

    private func ranges(of batch: RangeAnswer, _ piece: SpoolRecord) throws(CallError) -> BatchRanges {
        let ranges = try BatchRanges(
            batch,
            from: piece.start,
            unit: piece.unit,
            windowEnd: record.windowEnd,
            size: record.header.size
        )
        guard ranges.end == piece.end, piece.unit >= record.header.unit else {
            throw CallError(.internal, "The results of the job are damaged: start it again")
        }
        return ranges
    }
}

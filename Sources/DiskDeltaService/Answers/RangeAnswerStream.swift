public import ChangeQuery
public import DiskDeltaProtocol
internal import DiskImages

/// A range answer on its way: the header, the batches of a range cursor as messages, and the totals.
final class RangeAnswerStream: ResponseStream {
    private let plan: Plan
    /// Held open for as long as the answer is read.
    private let disk: OpenDisk
    private let name: String
    private let cursor: RangeCursor
    private let heartbeat: Heartbeat
    private var headerIsGiven = false
    private var isFirstBatch = true

    init(_ plan: Plan, of disk: OpenDisk, named name: String, maximumMessage: Int, heartbeat: Heartbeat) {
        self.plan = plan
        self.disk = disk
        self.name = name
        self.heartbeat = heartbeat
        cursor = RangeCursor(plan, maximumMessage: maximumMessage)
    }

    func next() async throws(CallError) -> RangeAnswer? {
        guard headerIsGiven else {
            headerIsGiven = true
            return RangeAnswer(part: .header(AnswerHeader(plan, disk: name)))
        }
        var before = cursor.processedEnd
        while let batch = try await nextBatch(resumeOffset: before) {
            // A batch that comes no further, because a range goes on and on, is nothing that a client could use.
            if batch.processedEnd > before { return RangeAnswer(batch) }
            before = batch.processedEnd
        }
        return nil
    }

    /// The next batch of the cursor, in as many turns as it takes; nil at the end.
    private func nextBatch(resumeOffset: UInt64) async throws(CallError) -> RangeBatch? {
        let start = heartbeat.start
        var turnEnd = start.turnEnd
        var firstTurn = isFirstBatch ? Heartbeat.FirstTurn() : nil
        isFirstBatch = false
        while true {
            guard !Task.isCancelled else {
                throw CallError(.cancelled, "The call was cancelled", resumeOffset: cursor.processedEnd)
            }
            do throws(QueryError) {
                switch try cursor.pull({
                    let wish = heartbeat.wish(due: start.due, turnEnd: turnEnd)
                    return wish == .goOn && firstTurn?.isOver == true ? .pause : wish
                }) {
                case .batch(let batch): return batch
                case .end: return nil
                case .pause: break
                }
            } catch {
                throw CallError(error, resumeOffset: resumeOffset)
            }
            await Task.yield()
            turnEnd = heartbeat.nextTurnEnd
            firstTurn = nil
        }
    }

    var totals: AnswerTotals? {
        let totals = cursor.totals
        return AnswerTotals(
            processed: plan.window.length,
            ranges: totals.ranges,
            bytes: totals.bytes,
            dataBytes: totals.dataBytes,
            zeroBytes: totals.zeroBytes,
            offsetSum: totals.offsetSum
        )
    }

    var resumeOffset: UInt64? { cursor.processedEnd }
}

extension AnswerHeader {
    /// The header of the answer to a planned question about the disk that the caller calls `disk`.
    init(_ plan: Plan, disk: String) {
        self.init(
            disk: disk,
            format: ImageFormat(plan.format),
            size: plan.size,
            since: plan.since,
            target: plan.target,
            epoch: plan.epoch.description,
            granularity: plan.granularity,
            basis: AnswerBasis(plan.basis),
            unit: plan.unit,
            windowOffset: plan.window.start,
            windowLength: plan.window.length,
            basisReason: plan.unavailability.map { CallError.reason(of: $0.code) } ?? .none,
            basisMessage: plan.unavailability?.message ?? "",
            assumedAtRest: plan.assumesRest
        )
    }
}

extension AnswerBasis {
    init(_ basis: Plan.Basis) {
        self =
            switch basis {
            case .changes: .changes
            case .allocated: .allocated
            case .whole: .whole
            }
    }
}

extension RangeAnswer {
    /// A batch as a message. Its columns stay where they were written.
    public init(_ batch: RangeBatch) {
        switch batch.form {
        case .runs(let columns, let zero):
            self.init(
                part: .runs(
                    RangeRuns(
                        processedEnd: batch.processedEnd,
                        gap: UInt64Column(aliasing: columns.gaps, owner: columns),
                        length: UInt64Column(aliasing: columns.lengths, owner: columns),
                        zero: ByteColumn(zero)
                    )
                )
            )
        case .bitmap(let bits):
            self.init(part: .bitmap(RangeBitmap(processedEnd: batch.processedEnd, bits: ByteColumn(bits))))
        }
    }
}

extension ImageFormat {
    init(_ format: ImageDescription.Format) {
        self =
            switch format {
            case .vhdx: .vhdx
            case .vhd: .vhd
            case .vhdset: .vhdset
            case .qcow2: .qcow2
            case .raw: .raw
            }
    }
}

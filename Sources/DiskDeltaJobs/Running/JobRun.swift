internal import ChangeQuery
internal import DiskDeltaProtocol
internal import DiskImages

/// One run of a job: asks the question from where the spool ends, and adds the answer to the spool.
///
/// What the row tells is on the medium before it tells so: first the spool is made sure of, then the row is written. The
/// question is asked in the name of the owner, so that what he may not ask any more is refused here, and about the epoch of the
/// header, so that no answer is ever mixed of two states of a disk.
struct JobRun {
    /// What a run came to.
    enum Outcome: Hashable {
        /// The job has ended, and its row says so.
        case ended(JobRecord)
        /// The server stops: the job goes on from here when it starts again.
        case interrupted
        /// Somebody else has ended the job.
        case overtaken
        /// The job has ended, and its row could not be written.
        case unsaved(JobRecord, JobStoreError)
    }

    let job: LiveJob
    let store: JobStore
    let spools: SpoolFolder
    let disks: any ImageManagementService
    let limits: JobLimits
    let now: @Sendable () -> JobTime

    /// Runs until the job has ended or the task is cancelled.
    func run() async -> Outcome {
        var progress = Progress(record: job.record)
        progress.record.started = progress.record.started ?? now()
        progress.record.change(to: .starting, at: now())
        var failure: JobFailure?
        do throws(CallError) {
            guard try commit(&progress) else { return .overtaken }
            try await answer(&progress)
        } catch {
            if Task.isCancelled {
                // Cancelled by the server that stops, or because the job was: the row knows.
                guard let saved = try? commit(&progress) else { return .interrupted }
                return saved ? .interrupted : .overtaken
            }
            failure = JobFailure(error)
        }
        var record = progress.timed
        record.end(failure, at: now(), keptFor: limits.retention)
        do throws(JobStoreError) {
            return try store.save(record) ? .ended(record) : .overtaken
        } catch {
            return .unsaved(record, error)
        }
    }

    /// How far a run is.
    private struct Progress {
        var record: JobRecord
        var writer: SpoolWriter?
        let began = ContinuousClock.now
        var committed = ContinuousClock.now
        /// What the record had of time before this run.
        let elapsedBefore: UInt64

        init(record: JobRecord) {
            self.record = record
            elapsedBefore = record.elapsed
        }

        /// The record with the time that the job has run.
        var timed: JobRecord {
            var record = record
            record.elapsed = JobRecord.elapsed(elapsedBefore, since: began)
            return record
        }
    }

    /// Makes sure of what there is. False where the job has been ended by somebody else.
    private func commit(_ progress: inout Progress) throws(CallError) -> Bool {
        if let writer = progress.writer {
            try writer.synchronize()
            progress.record.spoolLength = writer.length
        }
        progress.record.elapsed = progress.timed.elapsed
        do throws(JobStoreError) {
            guard try store.save(progress.record) else { return false }
        } catch {
            throw CallError(error)
        }
        progress.committed = .now
        job.publish(progress.record, running: progress.committed)
        return true
    }

    /// Asks, and spools the whole answer; the last of it is made sure of as well.
    private func answer(_ progress: inout Progress) async throws(CallError) {
        let record = progress.record
        let writer = try spools.writer(record.id, continuing: record.spoolLength, at: record.position)
        progress.writer = writer
        if record.position < record.windowEnd || record.spoolLength == 0 {
            let stream = try await disks.getVirtualDiskChanges(
                record.rest,
                context: CallContext(identity: record.owner)
            )
            guard case .header(let header)? = try await stream.next()?.part else {
                throw CallError(.internal, "The answer does not begin with a header")
            }
            try Self.check(header, continues: record)
            progress.record.change(to: .running, at: now())
            job.publish(progress.timed, running: .now)
            try await spool(stream, unit: header.unit, in: writer, &progress)
        }
        guard progress.record.position == record.windowEnd else {
            throw CallError(.internal, "The answer ended before the end of its window")
        }
        try writer.synchronize()
        progress.record.spoolLength = writer.length
    }

    private func spool(
        _ stream: any ResponseStream<RangeAnswer>,
        unit: UInt64,
        in writer: SpoolWriter,
        _ progress: inout Progress
    ) async throws(CallError) {
        let before = progress.record.totals
        while let batch = try await stream.next() {
            try take(batch, unit: unit, in: writer, &progress.record)
            guard writer.length <= limits.resultBytesPerJob else {
                throw CallError(
                    .resourceLimit,
                    "The results of the job take more than \(limits.resultBytesPerJob) bytes: ask with a larger granularity, "
                        + "or in windows"
                )
            }
            let isDue =
                ContinuousClock.now - progress.committed >= limits.commitInterval
                || writer.length - progress.record.spoolLength >= limits.commitBytes
            if isDue, try !commit(&progress) { throw CallError(.cancelled, "The job was ended") }
        }
        var sum = progress.record.totals
        sum.subtract(before)
        guard stream.totals == sum else {
            throw CallError(.internal, "The ranges of the answer do not agree with its totals")
        }
    }

    /// Appends a batch and counts its ranges.
    private func take(
        _ batch: RangeAnswer,
        unit: UInt64,
        in writer: SpoolWriter,
        _ record: inout JobRecord
    ) throws(CallError) {
        var ranges = try BatchRanges(
            batch,
            from: record.position,
            unit: unit,
            windowEnd: record.windowEnd,
            size: record.header.size
        )
        while let range = try ranges.next() { record.totals.add(range) }
        try writer.append(batch, hasRanges: ranges.hasRanges, end: ranges.end, unit: unit)
        record.totals.processed = ranges.end &- record.header.windowOffset
    }

    /// A header of the rest must be about the same, as `Protocol.md` has it (P-92), and count in units that the first can tell.
    private static func check(_ header: AnswerHeader, continues record: JobRecord) throws(CallError) {
        let first = record.header
        var same = header
        same.disk = first.disk
        same.unit = first.unit
        same.windowOffset = first.windowOffset
        same.windowLength = first.windowLength
        same.basisMessage = first.basisMessage
        guard same == first, header.windowOffset == record.position,
            header.windowLength == record.windowEnd &- record.position, header.unit.nonzeroBitCount == 1,
            header.unit >= first.unit || header.windowLength == 0
        else { throw CallError(.internal, "The rest of the answer does not continue what there is") }
    }
}

extension AnswerTotals {
    /// Counts a range.
    mutating func add(_ range: BatchRanges.Range) {
        let length = range.end &- range.start
        ranges &+= 1
        bytes &+= length
        offsetSum &+= range.start
        switch range.kind {
        case .data: dataBytes &+= length
        case .zero: zeroBytes &+= length
        }
    }

    /// Takes off what there was before.
    mutating func subtract(_ before: AnswerTotals) {
        processed &-= before.processed
        ranges &-= before.ranges
        bytes &-= before.bytes
        dataBytes &-= before.dataBytes
        zeroBytes &-= before.zeroBytes
        offsetSum &-= before.offsetSum
    }
}

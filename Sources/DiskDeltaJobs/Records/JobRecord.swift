internal import DiskDeltaProtocol
internal import DiskImages

/// All that is known of a job.
struct JobRecord: Hashable, Sendable {
    let id: GUID
    /// Who started it; empty where the server did not ask.
    let owner: String
    /// The name of the root that its disk is in; empty where the disk was named otherwise.
    let root: String
    let request: GetVirtualDiskChangesRequest
    /// The header of the answer, as it was when the job was started.
    let header: AnswerHeader
    /// The logical sector of the disk in bytes.
    let sector: UInt64
    let submitted: JobTime

    var state = JobState.new
    /// When it began to run for the first time.
    var started: JobTime?
    var lastChange: JobTime
    /// The milliseconds that it has run.
    var elapsed: UInt64 = 0
    /// Why it did not complete.
    var failure: JobFailure?
    /// The sum of the answer as far as the spool has it; `processed` says how far that is.
    var totals = AnswerTotals()
    /// The bytes of the spool that count.
    var spoolLength: UInt64 = 0
    /// When it is to be forgotten; nil while it has not ended.
    var expires: JobTime?

    /// The first byte of the disk that the spool does not answer for.
    var position: UInt64 { header.windowOffset &+ totals.processed }

    /// The end of the window in bytes.
    var windowEnd: UInt64 { header.windowOffset &+ header.windowLength }

    var hasEnded: Bool { state.isEnd }

    /// From 0 to 100; 100 only where it is completed.
    var percentComplete: UInt32 {
        guard state != .completed else { return 100 }
        guard header.windowLength > 0 else { return 0 }
        let part = Double(min(totals.processed, header.windowLength)) / Double(header.windowLength)
        return min(UInt32(part * 100), 99)
    }

    /// The question about what the spool does not answer yet, about the same state of the disk.
    var rest: GetVirtualDiskChangesRequest {
        var rest = request
        rest.byteOffset = position
        rest.byteLength = windowEnd &- position
        rest.ifEpoch = header.epoch
        return rest
    }

    /// Becomes `state` at `time`.
    mutating func change(to state: JobState, at time: JobTime) {
        self.state = state
        lastChange = time
    }

    /// Ends, completed where there is no failure. Only what is completed has results.
    mutating func end(_ failure: JobFailure?, at time: JobTime, keptFor retention: Duration) {
        let isCancelled = failure?.reason == .cancelled
        change(to: failure == nil ? .completed : isCancelled ? .terminated : .exception, at: time)
        self.failure = failure
        if failure != nil { spoolLength = 0 }
        expires = time.advanced(by: retention)
    }
}

/// Why a job did not complete.
struct JobFailure: Hashable, Sendable {
    var reason: Reason
    /// A sentence that a person can act on.
    var message: String
    /// The Win32 error code with the detail; 0 where there is none.
    var detailCode: UInt32 = 0

    static let cancelled = JobFailure(reason: .cancelled, message: "The job was cancelled")
}

extension JobFailure {
    init(_ error: CallError) {
        self.init(reason: error.reason, message: error.message, detailCode: error.detailCode)
    }
}

extension JobState {
    /// The states after which nothing more happens.
    var isEnd: Bool { self == .completed || self == .terminated || self == .exception }
}

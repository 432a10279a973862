public import DiskDeltaProtocol

extension DiskDeltaClient {
    /// The ranges that a job found, as they arrive: the answer of a question that was asked with the
    /// `startGetVirtualDiskChanges` of ``jobs``. They may be asked for as often as wanted; each stream is read once.
    ///
    /// Returns when the header has arrived; its window starts at the `byteOffset` of the request, or where that is 0, at the start
    /// of the window that the job was asked about. An answer that breaks after it is resumed, as ``ranges`` says; the time of
    /// `options` spans all of it.
    ///
    /// - Throws: JOB_NOT_FOUND where no job that the caller may see has the id, JOB_NOT_READY where it has not ended,
    ///   OFFSET_OUT_OF_RANGE where `byteOffset` is outside its window; and why the job failed, where it did.
    public func jobResults(
        _ request: JobResultsRequest,
        options: CallOptions = CallOptions()
    ) async throws(CallError) -> RangeStream {
        let question = RangeQuestion(AnswerExpectation(request)) { [jobs] (part, options) async throws(CallError) in
            // A job has one answer: no epoch needs to be named, and its header is held against the first.
            let rest = JobResultsRequest(id: request.id, byteOffset: part?.offset ?? request.byteOffset)
            return try await jobs.getJobResults(rest, options: options)
        }
        return try await RangeStream(question, options: options, ranges)
    }

    /// All ranges that a job found, as they arrive.
    public func jobResults(
        of job: String,
        options: CallOptions = CallOptions()
    ) async throws(CallError) -> RangeStream {
        try await jobResults(JobResultsRequest(id: job), options: options)
    }

    /// Waits until a job has ended, and returns it as it is then: completed or not, see its `jobState` and `reason`.
    ///
    /// A job outlives the connection, and also the server's process. Where the connection breaks, the state of the job is asked
    /// about anew, for as long as the `resuming` of ``ranges`` says; each state that is told starts that time anew. The time of
    /// `options` spans all of it.
    ///
    /// - Throws: JOB_NOT_FOUND where no job that the caller may see has the id, or it was deleted meanwhile.
    public func endOfJob(_ id: String, options: CallOptions = CallOptions()) async throws(CallError) -> Job {
        let time = TimeBudget(options.timeout)
        var series = ResumeSeries(ranges.resuming)
        var next = options
        var wasTold = false
        while true {
            do throws(CallError) {
                let states = try await jobs.watchJob(JobRequest(id: id), options: next)
                var last: Job?
                while let job = try await states.next() {
                    last = job
                    wasTold = true
                    series.progressed()
                }
                guard let last, last.hasEnded else {
                    throw CallError(.answerInvalid, "The server ceased to tell of a job that has not ended")
                }
                return last
            } catch {
                // It is a new question, not the same call made again: the state now, whatever was told before.
                guard wasTold, error.status == .unavailable || error.isUnbegun,
                    case .tryAgain(let wait, let end) = series.broke(
                        at: .now,
                        variation: .random(in: -1...1),
                        retryDelay: .milliseconds(Int64(error.retryDelay))
                    )
                else { throw error }
                try await time.sleep(wait)
                next = time.options(options, attempts: 0, patienceEnds: end)
            }
        }
    }
}

extension Job {
    /// Whether the job will change no more: it is completed, was stopped, or failed.
    public var hasEnded: Bool { ![.unknown, .new, .starting, .running].contains(jobState) }

    /// Why a job that has ended is not completed; nil where it is, or has not ended.
    public var failure: CallError? {
        guard hasEnded, jobState != .completed else { return nil }
        let reason = reason != .none ? reason : jobState == .terminated ? .cancelled : .internal
        return CallError(
            status: reason.status,
            reason: reason,
            message: errorDescription.isEmpty ? reason.summary : errorDescription,
            detailCode: detailCode,
            resumeOffset: nil
        )
    }
}

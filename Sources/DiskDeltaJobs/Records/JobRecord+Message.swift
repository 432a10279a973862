internal import DiskDeltaProtocol
internal import DiskImages

/// A job as CIM_ConcreteJob tells it.
extension JobRecord {
    /// CIM's "Method Parameters Checked - Job Started": the return value of a job that has not ended.
    static let startedReturnValue: UInt32 = 4096

    var message: Job {
        let errorCode = failure?.reason.returnValue ?? 0
        return Job(
            id: id.description,
            jobState: state,
            percentComplete: percentComplete,
            startTime: started?.description ?? "",
            elapsedTime: elapsed,
            errorCode: errorCode,
            errorDescription: failure?.message ?? "",
            returnValue: hasEnded ? errorCode : Self.startedReturnValue,
            request: request,
            reason: failure?.reason ?? .none,
            detailCode: failure?.detailCode ?? 0,
            timeSubmitted: submitted.description,
            timeOfLastStateChange: lastChange.description,
            owner: owner,
            totals: state == .completed ? totals : nil,
            expires: expires?.description ?? "",
            since: header.since,
            target: header.target,
            epoch: header.epoch
        )
    }
}

extension CallError {
    /// What who asks for the results of a job that failed is told: its own failure.
    init(_ failure: JobFailure, of record: JobRecord) {
        self.init(failure.reason, failure.message, resumeOffset: record.header.windowOffset)
        detailCode = failure.detailCode
    }
}

public import DiskDeltaProtocol

/// What a server answers that was given no folder to keep jobs in.
public struct UnkeptJobs: JobsService {
    public init() {}

    private static var refusal: CallError {
        CallError(.unsupported, "This server keeps no jobs: it must be started with --state DIR")
    }

    public func startGetVirtualDiskChanges(
        _ request: GetVirtualDiskChangesRequest,
        context: CallContext
    ) async throws(CallError) -> Job {
        throw Self.refusal
    }

    public func getJob(_ request: JobRequest, context: CallContext) async throws(CallError) -> Job {
        throw Self.refusal
    }

    public func listJobs(_ request: ListJobsRequest, context: CallContext) async throws(CallError) -> JobList {
        throw Self.refusal
    }

    public func watchJob(
        _ request: JobRequest,
        context: CallContext
    ) async throws(CallError) -> any ResponseStream<Job> {
        throw Self.refusal
    }

    public func getJobResults(
        _ request: JobResultsRequest,
        context: CallContext
    ) async throws(CallError) -> any ResponseStream<RangeAnswer> {
        throw Self.refusal
    }

    public func cancelJob(_ request: JobRequest, context: CallContext) async throws(CallError) -> Job {
        throw Self.refusal
    }

    public func deleteJob(_ request: JobRequest, context: CallContext) async throws(CallError) -> DeleteJobResponse {
        throw Self.refusal
    }
}

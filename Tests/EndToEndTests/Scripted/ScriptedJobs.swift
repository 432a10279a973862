import DiskDeltaClient
import DiskDeltaProtocol
import Synchronization

/// A service of jobs that a test has thought up. What it is asked is kept. A job of no state is one whose record is damaged.
final class ScriptedJobs: JobsService {
    private let jobs: Mutex<[Job]>
    private let results: ScriptedRanges
    let started = Mutex<[GetVirtualDiskChangesRequest]>([])
    let offsets = Mutex<[UInt64]>([])

    init(_ jobs: [Job], results: ScriptedRanges) {
        self.jobs = Mutex(jobs)
        self.results = results
    }

    var router: ServiceRouter {
        var router = ServiceRouter()
        router.register(self)
        return router
    }

    var ids: [String] { jobs.withLock { $0.map(\.id) } }

    private func find(_ id: String) throws(CallError) -> Job {
        guard let job = jobs.withLock({ $0.first { $0.id == id } }) else {
            throw CallError(.jobNotFound, "There is no job \(id)")
        }
        return job
    }

    func startGetVirtualDiskChanges(
        _ request: GetVirtualDiskChangesRequest,
        context: CallContext
    ) async throws(CallError) -> Job {
        started.withLock { $0.append(request) }
        guard request.path != "missing" else { throw CallError(.fileNotFound, "missing: There is no such file.") }
        return Job(id: "{new}", jobState: .new, returnValue: 4_096, request: request, since: "{canonical}")
    }

    func getJob(_ request: JobRequest, context: CallContext) async throws(CallError) -> Job {
        let job = try find(request.id)
        guard job.jobState != .unknown else { throw CallError(.internal, job.errorDescription) }
        return job
    }

    func listJobs(
        _ request: ListJobsRequest,
        context: CallContext
    ) async throws(CallError) -> DiskDeltaProtocol.JobList {
        DiskDeltaProtocol.JobList(jobs: jobs.withLock { $0 })
    }

    /// Tells that the job runs, and then how it is.
    func watchJob(_ request: JobRequest, context: CallContext) async throws(CallError) -> any ResponseStream<Job> {
        let job = try find(request.id)
        var before = job
        before.jobState = .running
        before.percentComplete = 1
        return ScriptedAnswer([before, job])
    }

    func getJobResults(
        _ request: JobResultsRequest,
        context: CallContext
    ) async throws(CallError) -> any ResponseStream<RangeAnswer> {
        offsets.withLock { $0.append(request.byteOffset) }
        let job = try find(request.id)
        guard job.jobState != .running else { throw CallError(.jobNotReady, "The job \(job.id) has not ended") }
        if let failure = job.failure { throw failure }
        return ScriptedRanges(disk: results.header.disk, results.ranges, from: request.byteOffset).answer
    }

    func cancelJob(_ request: JobRequest, context: CallContext) async throws(CallError) -> Job {
        var job = try find(request.id)
        if !job.hasEnded { job.jobState = .terminated }
        return job
    }

    func deleteJob(_ request: JobRequest, context: CallContext) async throws(CallError) -> DeleteJobResponse {
        let job = try find(request.id)
        guard job.hasEnded || job.jobState == .unknown else {
            throw CallError(.jobNotReady, "The job \(request.id) has not ended")
        }
        jobs.withLock { $0.removeAll { $0.id == request.id } }
        return DeleteJobResponse()
    }
}

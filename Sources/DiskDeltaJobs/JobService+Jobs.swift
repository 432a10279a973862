public import DiskDeltaProtocol
internal import DiskImages

extension JobService: JobsService {
    /// The methods that are answered: all of them.
    public static let answeredMethods = JobsMethods.all

    public func startGetVirtualDiskChanges(
        _ request: GetVirtualDiskChangesRequest,
        context: CallContext
    ) async throws(CallError) -> Job {
        guard !runner.isStopped else { throw CallError(.serverUnavailable, "The server stops") }
        guard runner.admit(context.identity) else {
            var error = CallError(
                .resourceLimit,
                "\(runner.limits.unendedPerIdentity) jobs have not ended: wait for one of them, or cancel one"
            )
            error.retryDelay = runner.limits.retryDelay
            throw error
        }
        let record: JobRecord
        do throws(CallError) {
            record = try await plan(request, context)
            try insert(record)
        } catch {
            runner.dismiss(context.identity)
            throw error
        }
        runner.submit(record)
        return record.message
    }

    public func getJob(_ request: JobRequest, context: CallContext) async throws(CallError) -> Job {
        try find(request.id, context).message
    }

    /// As many as one message takes: the newest.
    public func listJobs(_ request: ListJobsRequest, context: CallContext) async throws(CallError) -> JobList {
        var list = JobList()
        // A field's tag and length take six bytes at most.
        var room = context.maximumMessage
        do throws(JobStoreError) {
            try runner.store.newestFirst(where: access.visibility(of: context.identity)) { stored in
                let job =
                    switch stored {
                    case .sound(let record): (runner.job(record.id)?.record ?? record).message
                    case .damaged(let job): job.message
                    }
                guard let size = try? job.encodedSize(), size + 6 <= room else { return false }
                room -= size + 6
                list.jobs.append(job)
                return true
            }
        } catch {
            throw CallError(error)
        }
        return list
    }

    public func watchJob(
        _ request: JobRequest,
        context: CallContext
    ) async throws(CallError) -> any ResponseStream<Job> {
        let record = try find(request.id, context)
        if let job = runner.job(record.id) { return JobWatch(job) }
        // It has ended, if not before then by now.
        return JobWatch(LiveJob(try find(request.id, context)))
    }

    public func getJobResults(
        _ request: JobResultsRequest,
        context: CallContext
    ) async throws(CallError) -> any ResponseStream<RangeAnswer> {
        let record = try find(request.id, context)
        guard record.hasEnded else {
            throw CallError(.jobNotReady, "The job has not ended: it is at \(record.percentComplete) %")
        }
        if let failure = record.failure { throw CallError(failure, of: record) }
        return try JobResults(
            record,
            from: request.byteOffset,
            in: runner.spools,
            maximumMessage: context.maximumMessage
        )
    }

    public func cancelJob(_ request: JobRequest, context: CallContext) async throws(CallError) -> Job {
        var record = try find(request.id, context)
        guard !record.hasEnded else { return record.message }
        record.end(.cancelled, at: now(), keptFor: runner.limits.retention)
        let isSaved: Bool
        do throws(JobStoreError) {
            isSaved = try runner.store.save(record)
        } catch {
            throw CallError(error)
        }
        // It may have ended meanwhile.
        guard isSaved else { return try find(request.id, context).message }
        runner.endedElsewhere(record)
        return record.message
    }

    public func deleteJob(_ request: JobRequest, context: CallContext) async throws(CallError) -> DeleteJobResponse {
        if case .sound(let record) = try look(for: request.id, context) {
            context.notes.disk = record.request.path
            guard record.hasEnded else {
                throw CallError(.jobNotReady, "The job has not ended: cancel it first, or wait for its end")
            }
        }
        guard let id = GUID(request.id) else { throw CallError(.jobNotFound, "This server has no such job") }
        let isDeleted: Bool
        do throws(JobStoreError) {
            isDeleted = try runner.store.delete(id)
        } catch {
            throw CallError(error)
        }
        guard isDeleted else {
            _ = try find(request.id, context)
            throw CallError(.jobNotReady, "The end of the job is not written down yet")
        }
        runner.spools.remove(id)
        return DeleteJobResponse()
    }

    /// The job that a request makes, where it can be answered now.
    private func plan(
        _ request: GetVirtualDiskChangesRequest,
        _ context: CallContext
    ) async throws(CallError) -> JobRecord {
        let stream = try await disks.getVirtualDiskChanges(request, context: context)
        guard case .header(let header)? = try await stream.next()?.part else {
            throw CallError(.internal, "The answer does not begin with a header")
        }
        let time = now()
        return JobRecord(
            id: .random(),
            owner: context.identity,
            root: access.root(ofDisk: request.path),
            request: request,
            header: header,
            sector: try await sector(of: request, header, context),
            submitted: time,
            lastChange: time
        )
    }

    /// The logical sector of the disk in bytes. The header does not tell it; where granules are smaller than the larger of the
    /// two sizes that there are, it is the smaller.
    private func sector(
        of request: GetVirtualDiskChangesRequest,
        _ header: AnswerHeader,
        _ context: CallContext
    ) async throws(CallError) -> UInt64 {
        guard header.granularity >= 4096 else { return 512 }
        let disk = VirtualHardDiskRequest(path: request.path, imageFormat: request.imageFormat)
        let what = try await disks.getVirtualHardDiskSettingData(disk, context: context)
        return max(UInt64(what.logicalSectorSize), 512)
    }

    private func insert(_ record: JobRecord) throws(CallError) {
        do throws(JobStoreError) {
            try runner.store.insert(record)
        } catch {
            throw CallError(error)
        }
    }
}

import ChangeQuery
import DiskDeltaProtocol
import DiskDeltaService
import DiskImages
import Synchronization
import TestSupport
import Testing

@testable import DiskDeltaJobs

/// A service of jobs on scripted disks, which can be stopped and started again.
final class JobBench {
    let folder: TemporaryFolder
    let disks = ScriptedDisks()
    let clock = HandClock()
    /// What was reported, by all services so far.
    let reports = Reports()
    var limits = JobLimits()
    let policy: Policy
    private(set) var service: JobService

    init(policy: Policy = .openToQueries, _ adjust: (inout JobLimits) -> Void = { _ in }) throws {
        folder = try TemporaryFolder()
        self.policy = policy
        // Every batch is made sure of, so that nothing depends on how fast anything is.
        limits.commitInterval = .zero
        adjust(&limits)
        service = try Self.service(folder, disks, limits, policy, clock, reports)
    }

    private static func service(
        _ folder: TemporaryFolder,
        _ disks: ScriptedDisks,
        _ limits: JobLimits,
        _ policy: Policy,
        _ clock: HandClock,
        _ reports: Reports
    ) throws -> JobService {
        try JobService(
            StateFolder(folder.file("state")),
            disks: disks,
            access: JobAccess(policy: { policy }, rootName: { $0.split(separator: "/").first.map(String.init) }),
            limits: limits,
            executor: nil,
            now: { clock.now },
            report: { reports.add($0) }
        )
    }

    var state: String { folder.file("state") }

    func spool(_ job: Job) -> String {
        SpoolFolder(path: state + "/jobs").file(of: GUID(job.id) ?? .zero)
    }

    /// Stops the service, and makes another of the same state; it runs no job before it is started.
    ///
    /// - Parameter change: what becomes of the state meanwhile.
    func restart(_ change: () throws -> Void = {}) async throws {
        await service.stop()
        // The lock of the folder goes with the service that has it, which another one replaces first.
        service = try Self.service(try TemporaryFolder(), disks, limits, policy, clock, reports)
        try change()
        service = try Self.service(folder, disks, limits, policy, clock, reports)
    }

    func context(_ identity: String = "", maximumMessage: Int = 256 * 1024) -> CallContext {
        CallContext(identity: identity, maximumMessage: maximumMessage)
    }

    func start(
        _ path: String = "r/disk",
        as identity: String = "",
        window: Range<UInt64>? = nil
    ) async throws(CallError) -> Job {
        let request = GetVirtualDiskChangesRequest(
            path: path,
            limitID: "since",
            byteOffset: window?.lowerBound ?? 0,
            byteLength: window.map { UInt64($0.count) }
        )
        return try await service.startGetVirtualDiskChanges(request, context: context(identity))
    }

    func job(_ id: String, as identity: String = "") async throws(CallError) -> Job {
        try await service.getJob(JobRequest(id: id), context: context(identity))
    }

    /// The states of a job until it has ended; at last that one.
    func watch(_ id: String, as identity: String = "") async throws -> [Job] {
        let watch = try await service.watchJob(JobRequest(id: id), context: context(identity))
        var jobs: [Job] = []
        while let job = try await watch.next() { jobs.append(job) }
        return jobs
    }

    /// Waits until the job has ended.
    @discardableResult
    func end(of id: String, as identity: String = "") async throws -> Job {
        try #require(try await watch(id, as: identity).last)
    }

    /// A job that has not ended, with what it has found.
    func record(_ id: String) -> JobRecord? { GUID(id).flatMap { service.runner.job($0)?.record } }

    /// Waits until a job that has not ended has come so far.
    func wait(_ id: String, until isReached: (JobRecord) -> Bool) async throws {
        let job = try #require(GUID(id).flatMap { service.runner.job($0) })
        var sighting = job.sighting
        while !isReached(sighting.record) {
            sighting = try #require(await job.change(after: sighting.number))
        }
    }

    /// The answer of a job from an offset on, each message of it checked as a client would.
    func results(
        _ id: String,
        from offset: UInt64 = 0,
        as identity: String = "",
        maximumMessage: Int = 256 * 1024
    ) async throws -> (header: AnswerHeader, ranges: [BatchRanges.Range]) {
        let stream = try await service.getJobResults(
            JobResultsRequest(id: id, byteOffset: offset),
            context: context(identity, maximumMessage: maximumMessage)
        )
        return try await Self.read(stream, maximumMessage: maximumMessage)
    }

    static func read(
        _ stream: any ResponseStream<RangeAnswer>,
        maximumMessage: Int = 256 * 1024
    ) async throws -> (header: AnswerHeader, ranges: [BatchRanges.Range]) {
        let first = try await stream.next()
        guard case .header(let header)? = first?.part else {
            throw CallError(.answerInvalid, "no header, but \(String(describing: first))")
        }
        let end = header.windowOffset + header.windowLength
        var position = header.windowOffset
        var ranges: [BatchRanges.Range] = []
        var totals = AnswerTotals(processed: header.windowLength)
        while let answer = try await stream.next() {
            #expect(try answer.encodedSize() <= maximumMessage)
            var batch = try BatchRanges(answer, from: position, unit: header.unit, windowEnd: end, size: header.size)
            while let range = try batch.next() {
                if let last = ranges.last { #expect(last.end < range.start || last.kind != range.kind) }
                ranges.append(range)
                totals.add(range)
            }
            position = batch.end
        }
        #expect(position == end)
        #expect(stream.totals == totals)
        #expect(stream.resumeOffset == end)
        return (header, ranges)
    }
}

/// What a service has said that went wrong.
final class Reports: Sendable {
    private let texts = Mutex<[String]>([])

    var all: [String] { texts.withLock { $0 } }

    func add(_ text: String) { texts.withLock { $0.append(text) } }
}

/// A clock that a test moves.
final class HandClock: Sendable {
    private let milliseconds = Mutex<Int64>(1_800_000_000_000)

    var now: JobTime { JobTime(milliseconds: milliseconds.withLock { $0 }) }

    func advance(_ duration: Duration) {
        milliseconds.withLock { $0 += Int64(duration / .milliseconds(1)) }
    }
}

/// That a call fails, and why.
func expectError(
    _ reason: Reason,
    sourceLocation: SourceLocation = #_sourceLocation,
    _ body: () async throws -> Void
) async -> CallError? {
    let error = await #expect(throws: CallError.self, sourceLocation: sourceLocation) { try await body() }
    #expect(error?.reason == reason, "\(String(describing: error))", sourceLocation: sourceLocation)
    return error
}

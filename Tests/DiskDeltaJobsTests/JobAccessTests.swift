import DiskDeltaProtocol
import DiskDeltaService
import TestSupport
import Testing

@testable import DiskDeltaJobs

/// Everybody sees his own jobs; who may manage a root sees those about its disks; for all others there are none.
@Suite("Who may see which jobs", .timeLimit(.minutes(1)))
struct JobAccessTests {
    private let bench: JobBench
    private let jobs: [Job]

    init() async throws {
        var generator = RepeatableGenerator(seed: 5)
        let policy = """
            allow = ann query,manage r
            allow = bob query *
            allow = eve manage *
            """
        bench = try JobBench(policy: Policy(policy, named: "policy"))
        for name in ["r/d", "s/d", "/elsewhere"] { bench.disks[name] = .random(using: &generator) }
        bench.service.start()
        var jobs: [Job] = []
        for (disk, owner) in [("r/d", "bob"), ("s/d", "bob"), ("r/d", "ann"), ("/elsewhere", "bob")] {
            jobs.append(try await bench.start(disk, as: owner))
            try await bench.end(of: jobs[jobs.count - 1].id, as: owner)
        }
        self.jobs = jobs
    }

    @Test(arguments: [("bob", [0, 1, 3]), ("ann", [0, 2]), ("eve", [0, 1, 2, 3]), ("", []), ("joe", [])])
    func everyMethod(_ identity: String, _ visible: [Int]) async throws {
        let context = bench.context(identity)
        let list = try await bench.service.listJobs(ListJobsRequest(), context: context)
        #expect(list.jobs.map(\.id) == visible.reversed().map { jobs[$0].id })
        for (index, job) in jobs.enumerated() {
            let request = JobRequest(id: job.id)
            let calls: [() async throws -> Void] = [
                { _ = try await bench.service.getJob(request, context: context) },
                { _ = try await bench.watch(job.id, as: identity) },
                { _ = try await bench.results(job.id, as: identity) },
                { _ = try await bench.service.cancelJob(request, context: context) },
                { _ = try await bench.service.deleteJob(request, context: context) },
            ]
            for call in calls {
                if visible.contains(index) {
                    try await call()
                } else {
                    _ = await expectError(.jobNotFound, call)
                }
            }
        }
    }

    @Test("Who may not ask about a root any more does not see what he asked about it")
    func revoked() async throws {
        let job = try await bench.start("r/d", as: "joe")
        try await bench.end(of: job.id, as: "eve")
        let context = bench.context("joe")
        #expect(try await bench.service.listJobs(ListJobsRequest(), context: context).jobs == [])
        _ = await expectError(.jobNotFound) { _ = try await bench.results(job.id, as: "joe") }
    }

    @Test("The call is about the disk of the job, for who keeps records")
    func notes() async throws {
        let context = bench.context("bob")
        _ = try await bench.service.getJob(JobRequest(id: jobs[1].id), context: context)
        #expect(context.notes.disk == "s/d")
    }
}

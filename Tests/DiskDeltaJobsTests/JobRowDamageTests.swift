import Foundation
import DiskDeltaProtocol
import DiskDeltaService
import DiskImages
import GRDB
import TestSupport
import Testing

@testable import DiskDeltaJobs

@Suite("What is told of jobs whose rows are not what was written", .timeLimit(.minutes(4)))
struct JobRowDamageTests {
    private let bench: JobBench
    private let disk: ScriptedDisk

    init() throws {
        var generator = RepeatableGenerator(seed: 3)
        let policy = """
            allow = ann query r
            allow = bob query r
            allow = eve manage *
            """
        bench = try JobBench(policy: Policy(policy, named: "policy"))
        disk = ScriptedDisk.random(using: &generator)
        bench.disks["r/disk"] = disk
    }

    private func database() throws -> JobDatabase { try JobDatabase(bench.state + "/jobs.sqlite") }

    private func completed(as identity: String = "ann") async throws -> Job {
        bench.service.start()
        return try await bench.end(of: bench.start(as: identity).id, as: identity)
    }

    /// The results, where they are told; nil where they are refused, as what is damaged is, or is not there.
    private func results(_ id: String) async throws -> (header: AnswerHeader, ranges: [BatchRanges.Range])? {
        do {
            return try await bench.results(id, as: "ann")
        } catch let error as CallError {
            #expect([.internal, .jobNotFound].contains(error.reason), "\(error)")
            #expect(error.reason == .jobNotFound || error.message.contains("damaged"), "\(error)")
            return nil
        }
    }

    @Test("Whatever bit of the row of a completed job is another, its results are the true ones or refused")
    func everyBit() async throws {
        let job = try await completed()
        let (header, ranges) = try await bench.results(job.id, as: "ann")
        #expect(ranges == disk.ranges)
        let row = try #require(try database().rows().first)
        var refused = 0
        for damage in try database().damages(of: row) {
            try database().apply(damage, to: row)
            if let told = try await results(job.id) {
                #expect(told.header == header && told.ranges == ranges, "\(damage)")
            } else {
                refused += 1
            }
            let told = try? await bench.job(job.id, as: "ann")
            #expect(told == nil || told == job, "\(damage)")
            // Nobody else has it by that.
            #expect(await (try? bench.job(job.id, as: "bob")) == nil, "\(damage)")
            let list = try await bench.service.listJobs(ListJobsRequest(), context: bench.context("bob")).jobs
            #expect(list == [], "\(damage)")
            try database().restore(row, after: damage)
        }
        #expect(refused > 1_000)
        #expect(try await bench.results(job.id, as: "ann").ranges == ranges)
    }

    @Test("A damaged job is listed as failed to whose it is, can be deleted, and holds up no start and no other job")
    func owner() async throws {
        let first = try await bench.start(as: "ann")
        let second = try await bench.start(as: "bob")
        try await bench.restart {
            try database().execute(
                "UPDATE job SET header = CAST(header || x'00' AS BLOB), sector = 7 WHERE id = ?",
                [first.id]
            )
        }
        #expect(bench.reports.all.contains { $0.contains("damaged") && $0.contains(first.id) })
        #expect(bench.service.unendedCount == 1)
        bench.service.start()
        #expect(try await bench.end(of: second.id, as: "bob").jobState == .completed)
        for identity in ["ann", "eve"] {
            let list = try await bench.service.listJobs(ListJobsRequest(), context: bench.context(identity)).jobs
            let damaged = try #require(list.first { $0.id == first.id })
            #expect(damaged.jobState == .exception && damaged.reason == .internal && damaged.owner == "ann")
            #expect(damaged.errorCode == damaged.returnValue && damaged.errorCode != 0 && damaged.request == nil)
            let context = bench.context(identity)
            let request = JobRequest(id: first.id)
            let asking: [() async throws -> Void] = [
                { _ = try await bench.service.getJob(request, context: context) },
                { _ = try await bench.service.watchJob(request, context: context) },
                { _ = try await bench.service.cancelJob(request, context: context) },
                { _ = try await bench.results(first.id, as: identity) },
            ]
            for ask in asking {
                let error = await expectError(.internal) { try await ask() }
                #expect(error?.message == damaged.errorDescription)
            }
        }
        let bob = bench.context("bob")
        #expect(try await bench.service.listJobs(ListJobsRequest(), context: bob).jobs.map(\.id) == [second.id])
        let request = JobRequest(id: first.id)
        _ = await expectError(.jobNotFound) { _ = try await bench.service.deleteJob(request, context: bob) }
        _ = try await bench.service.deleteJob(request, context: bench.context("ann"))
        _ = await expectError(.jobNotFound) { _ = try await bench.job(first.id, as: "ann") }
        #expect(!exists(bench.spool(first)))
    }

    @Test("Where nobody can say whose a job is, it is in no list, and who knows its id may delete it")
    func nobody() async throws {
        let job = try await completed()
        try database().execute("UPDATE job SET owner = 'bob'")
        for identity in ["ann", "bob", "eve"] {
            let context = bench.context(identity)
            #expect(try await bench.service.listJobs(ListJobsRequest(), context: context).jobs == [])
            _ = await expectError(.internal) { _ = try await bench.job(job.id, as: identity) }
        }
        _ = try await bench.service.deleteJob(JobRequest(id: job.id), context: bench.context("ann"))
        _ = await expectError(.jobNotFound) { _ = try await bench.job(job.id, as: "ann") }
    }

    @Test("A job whose row is damaged while it runs fails, and is damaged then")
    func running() async throws {
        let gate = bench.disks.hold("r/disk")
        bench.service.start()
        let job = try await bench.start(as: "ann")
        gate.allow(2)
        try await bench.wait(job.id) { $0.totals.processed > 0 }
        let watch = try await bench.service.watchJob(JobRequest(id: job.id), context: bench.context("ann"))
        try database().execute("UPDATE job SET state = 7, root = 's'")
        gate.open()
        var last: Job?
        while let job = try await watch.next() { last = job }
        #expect(last?.jobState == .exception && last?.reason == .internal, "\(String(describing: last))")
        #expect(bench.service.unendedCount == 0)
        _ = await expectError(.internal) { _ = try await bench.job(job.id, as: "ann") }
    }

    @Test("A row of before that is put back is gone on from, or refused, and never another answer")
    func staleRows() async throws {
        let gate = bench.disks.hold("r/disk")
        let job = try await bench.start(as: "ann")
        var stale = try database().rows()
        bench.service.start()
        for _ in 0..<3 {
            let processed = bench.record(job.id)?.totals.processed ?? 0
            gate.allow(2)
            try await bench.wait(job.id) { $0.totals.processed > processed }
            stale += try database().rows()
        }
        gate.open()
        let end = try await bench.end(of: job.id, as: "ann")
        #expect(end.jobState == .completed)
        let ended = try #require(try database().rows().first)
        // Each round begins with the spool that the rows were written about: another run may divide it otherwise.
        let path = URL(fileURLWithPath: bench.spool(job))
        let spool = try Data(contentsOf: path)
        #expect(Set(stale.map { $0["spool_length"] }).count >= 3)
        for row in stale {
            // While the server runs that is no state that a job of this kind could be in.
            try database().restore(row)
            _ = await expectError(.internal) { _ = try await bench.job(job.id, as: "ann") }
            try database().restore(ended)
            try spool.write(to: path)
            #expect(try await bench.results(job.id, as: "ann").ranges == disk.ranges)
            try await bench.restart { try database().restore(row) }
            #expect(bench.service.unendedCount == 1)
            bench.service.start()
            #expect(try await bench.end(of: job.id, as: "ann").totals == end.totals)
            #expect(try await bench.results(job.id, as: "ann").ranges == disk.ranges)
        }
        // Of one that was deleted there is nothing to go on from.
        let row = try #require(stale.last)
        _ = try await bench.service.deleteJob(JobRequest(id: job.id), context: bench.context("ann"))
        try await bench.restart { try database().insert(row) }
        bench.service.start()
        #expect(try await bench.end(of: job.id, as: "ann").reason == .internal)
    }
}

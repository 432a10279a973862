import DiskDeltaProtocol
import DiskDeltaService
import Foundation
import TestSupport
import Testing

@testable import DiskDeltaJobs

@Suite("Jobs through a restart of the server", .timeLimit(.minutes(2)))
struct JobRestartTests {
    private static let seeds: [UInt64] = (1...12).map { $0 &* 0x1656_67B1 }

    private func bench(_ seed: UInt64 = 1) throws -> (JobBench, ScriptedDisk) {
        var generator = RepeatableGenerator(seed: seed)
        let bench = try JobBench()
        let disk = ScriptedDisk.random(using: &generator)
        bench.disks["r/disk"] = disk
        return (bench, disk)
    }

    @Test("A job goes on from where it was, as often as it is stopped", arguments: seeds)
    func resuming(seed: UInt64) async throws {
        print("restarts: seed \(seed)")
        var generator = RepeatableGenerator(seed: seed)
        let (bench, disk) = try bench(seed)
        let job = try await bench.start()
        var gate = bench.disks.hold("r/disk")
        var before = job
        for _ in 0..<Int.random(in: 1...4, using: &generator) {
            bench.service.start()
            let batches = Int.random(in: 1...3, using: &generator)
            gate.allow(batches)
            let processed = bench.record(job.id)?.totals.processed ?? 0
            try await bench.wait(job.id) { $0.totals.processed > processed }
            try await bench.restart()
            let now = try await bench.job(job.id)
            #expect(now.jobState == .new && now.percentComplete >= before.percentComplete)
            #expect(now.elapsedTime >= before.elapsedTime && now.startTime != "")
            #expect(now.id == job.id && now.timeSubmitted == job.timeSubmitted && now.returnValue == 4096)
            before = now
            gate = bench.disks.hold("r/disk")
        }
        gate.open()
        bench.service.start()
        let end = try await bench.end(of: job.id)
        #expect(end.jobState == .completed && end.elapsedTime >= before.elapsedTime, "\(end)")
        #expect(try await bench.results(job.id).ranges == disk.ranges)
        // Nothing was asked twice.
        let requests = bench.disks.requests
        #expect(requests.dropFirst().allSatisfy { $0.ifEpoch == "epoch" })
        #expect(requests.last?.byteOffset ?? 0 > 0)
        // Nor is the result another after one more.
        try await bench.restart()
        #expect(try await bench.job(job.id) == end)
        #expect(try await bench.results(job.id).ranges == disk.ranges)
    }

    @Test("What the question says of its disk holds for all of the answer")
    func guards() async throws {
        let (bench, disk) = try bench()
        let request = GetVirtualDiskChangesRequest(
            path: "r/disk",
            limitID: "since",
            imageFormat: .qcow2,
            ifSize: disk.size
        )
        let job = try await bench.service.startGetVirtualDiskChanges(request, context: bench.context())
        #expect(job.request == request)
        try await bench.restart()
        bench.service.start()
        #expect(try await bench.end(of: job.id).jobState == .completed)
        #expect(bench.disks.requests.count == 2)
        for asked in bench.disks.requests { #expect(asked.imageFormat == .qcow2 && asked.ifSize == disk.size) }
    }

    @Test("What was not made sure of before a crash is done again", arguments: seeds)
    func crash(seed: UInt64) async throws {
        print("crashes: seed \(seed)")
        var generator = RepeatableGenerator(seed: seed)
        let (bench, disk) = try bench(seed)
        let job = try await bench.start()
        let gate = bench.disks.hold("r/disk")
        bench.service.start()
        gate.allow(2)
        try await bench.wait(job.id) { $0.totals.processed > 0 }
        // What a crash leaves at this moment: the state as it is, and a spool that is longer than the row says.
        try FileManager.default.copyItem(atPath: bench.state, toPath: bench.state + "-crashed")
        let rubbish = (0..<Int.random(in: 0...200, using: &generator)).map { _ in
            UInt8.random(in: 0...255, using: &generator)
        }
        try await bench.restart {
            try FileManager.default.removeItem(atPath: bench.state)
            try FileManager.default.moveItem(atPath: bench.state + "-crashed", toPath: bench.state)
            let spool = try FileHandle(forWritingTo: URL(fileURLWithPath: bench.spool(job)))
            try spool.seekToEnd()
            try spool.write(contentsOf: rubbish)
            try spool.close()
        }
        bench.disks.hold("r/disk").open()
        bench.service.start()
        let end = try await bench.end(of: job.id)
        #expect(end.jobState == .completed, "\(end)")
        #expect(try await bench.results(job.id).ranges == disk.ranges)
    }

    @Test("A disk that has changed meanwhile fails the job")
    func changed() async throws {
        let (bench, _) = try bench()
        let job = try await bench.start()
        try await bench.restart()
        bench.disks["r/disk"]?.epoch = "another"
        bench.service.start()
        let end = try await bench.end(of: job.id)
        #expect(end.jobState == .exception && end.reason == .epochChanged && end.errorCode == 32775)
        _ = await expectError(.epochChanged) { _ = try await bench.results(job.id) }
    }

    @Test("A spool that is shorter than it was fails the job")
    func lostSpool() async throws {
        let (bench, _) = try bench()
        let job = try await bench.start()
        let gate = bench.disks.hold("r/disk")
        bench.service.start()
        gate.allow(2)
        try await bench.wait(job.id) { $0.totals.processed > 0 }
        await bench.service.stop()
        remove(bench.spool(job))
        try await bench.restart()
        bench.service.start()
        let end = try await bench.end(of: job.id)
        #expect(end.jobState == .exception && end.reason == .internal)
        #expect(end.errorDescription == "The results of the job are gone: start it again")
    }

    @Test("Who watches when the server stops is told to come again, and does not hold it up")
    func watchers() async throws {
        let (bench, _) = try bench()
        let job = try await bench.start()
        let watch = try await bench.service.watchJob(JobRequest(id: job.id), context: bench.context())
        #expect(try await watch.next() == job)
        let service = bench.service
        async let stopped: Void = service.stop()
        _ = await expectError(.serverUnavailable) { _ = try await watch.next() }
        await stopped
        _ = await expectError(.serverUnavailable) { _ = try await bench.start() }
    }

    @Test("Those that ran go on before those that waited, and count as before")
    func order() async throws {
        let (bench, _) = try bench()
        var jobs: [Job] = []
        for _ in 0..<Int(bench.limits.unendedPerIdentity) { jobs.append(try await bench.start()) }
        try await bench.restart()
        #expect(bench.service.unendedCount == jobs.count)
        _ = await expectError(.resourceLimit) { _ = try await bench.start() }
        bench.service.start()
        for job in jobs { #expect(try await bench.end(of: job.id).jobState == .completed) }
        #expect(bench.service.unendedCount == 0)
        _ = try await bench.start()
    }

    @Test("A spool of no job is removed, one of a job is not")
    func cleaning() async throws {
        let (bench, _) = try bench()
        bench.service.start()
        let job = try await bench.start()
        try await bench.end(of: job.id)
        let stray = bench.state + "/jobs/00000000-0000-0000-0000-000000000001.spool"
        try Data([1]).write(to: URL(fileURLWithPath: stray))
        try await bench.restart()
        #expect(!exists(stray) && exists(bench.spool(job)))
    }
}

import ChangeQuery
import DiskDeltaProtocol
import DiskDeltaService
import DiskImages
import TestSupport
import Testing

@testable import DiskDeltaJobs

@Suite("Jobs, from their start to their end", .timeLimit(.minutes(2)))
struct JobServiceTests {
    private static let seeds: [UInt64] = (1...10).map { $0 &* 0xC2B2_AE35 }

    private func disk(_ seed: UInt64 = 1, ranges: Int = 60) -> ScriptedDisk {
        var generator = RepeatableGenerator(seed: seed)
        return .random(using: &generator, ranges: ranges)
    }

    // MARK: The life of a job

    @Test("It is told as CIM_ConcreteJob, from new to completed")
    func life() async throws {
        let bench = try JobBench()
        bench.disks["r/disk"] = disk()
        let gate = bench.disks.hold("r/disk")
        let started = try await bench.start(as: "me")
        #expect(GUID(started.id)?.description == started.id)
        #expect(started.jobState == .new && started.percentComplete == 0)
        #expect(started.returnValue == 4096 && started.errorCode == 0 && started.reason == .none)
        #expect(started.timeSubmitted == "2027-01-15T08:00:00.000Z")
        #expect(started.timeOfLastStateChange == started.timeSubmitted)
        #expect(started.startTime == "" && started.expires == "" && started.totals == nil)
        #expect(started.owner == "me" && started.since == "since" && started.epoch == "epoch")
        #expect(started.request?.path == "r/disk")
        let watch = try await bench.service.watchJob(JobRequest(id: started.id), context: bench.context("me"))
        #expect(try await watch.next() == started)
        bench.clock.advance(.seconds(5))
        bench.service.start()
        var states: [JobState] = []
        var percents: [UInt32] = []
        var last = started
        while let job = try await watch.next() {
            if states.last != job.jobState { states.append(job.jobState) }
            percents.append(job.percentComplete)
            last = job
            if job.jobState == .running { gate.open() }
            if job.jobState != .completed { #expect(job.returnValue == 4096 && job.percentComplete < 100) }
        }
        // A slow reader may skip any but the last.
        #expect(states.last == .completed && Set(states).isSubset(of: [.starting, .running, .completed]))
        #expect(percents == percents.sorted() && percents.last == 100)
        #expect(last.returnValue == 0 && last.errorCode == 0 && last.errorDescription == "")
        #expect(last.startTime == "2027-01-15T08:00:05.000Z")
        #expect(last.expires == "2027-01-22T08:00:05.000Z")
        #expect(last.totals?.ranges == UInt64(disk().ranges.count))
        #expect(try await bench.job(started.id, as: "me") == last)
        // A watcher who comes late is told the end, once.
        #expect(try await bench.watch(started.id, as: "me") == [last])
        #expect(bench.disks.identities == ["me", "me"])
    }

    @Test("What cannot be answered makes no job")
    func refusals() async throws {
        let bench = try JobBench()
        bench.disks["r/disk"] = disk()
        bench.disks["r/disk"]?.refusal = CallError(.baselineUnknown, "There is no such baseline")
        let error = await expectError(.baselineUnknown) { _ = try await bench.start() }
        #expect(error?.message == "There is no such baseline")
        _ = await expectError(.fileNotFound) { _ = try await bench.start("r/none") }
        #expect(try await bench.service.listJobs(ListJobsRequest(), context: bench.context()).jobs == [])
        #expect(bench.service.unendedCount == 0)
        // Nor does it count.
        bench.disks["r/disk"]?.refusal = nil
        for _ in 0..<bench.limits.unendedPerIdentity { _ = try await bench.start() }
    }

    @Test("A question that fails on its way fails the job, and its results fail alike")
    func failure() async throws {
        let bench = try JobBench()
        bench.disks["r/disk"] = disk()
        var failure = CallError(.imageCorrupt, "The block 7 lies outside of the file")
        failure.detailCode = 0xC03A_0003
        bench.disks["r/disk"]?.failure = (disk().size / 2, failure)
        let started = try await bench.start()
        bench.service.start()
        let job = try await bench.end(of: started.id)
        #expect(job.jobState == .exception && job.reason == .imageCorrupt)
        #expect(job.errorCode == 32768 && job.returnValue == 32768 && job.detailCode == 0xC03A_0003)
        #expect(job.errorDescription == "The block 7 lies outside of the file")
        #expect(job.totals == nil && job.percentComplete < 100 && job.expires != "")
        let error = await expectError(.imageCorrupt) { _ = try await bench.results(started.id) }
        #expect(error?.status == .dataLoss && error?.message == job.errorDescription)
        #expect(error?.detailCode == 0xC03A_0003)
        #expect(!exists(bench.spool(job)))
    }

    @Test("An answer whose totals do not agree, or that is about another state, is kept by no job")
    func wrongAnswers() async throws {
        let bench = try JobBench()
        bench.disks["r/disk"] = disk()
        bench.disks["r/disk"]?.hasWrongTotals = true
        let wrong = try await bench.start()
        bench.service.start()
        #expect(try await bench.end(of: wrong.id).reason == .internal)
    }

    @Test("Results that take too much fail the job")
    func tooLarge() async throws {
        let bench = try JobBench { $0.resultBytesPerJob = 400 }
        bench.disks["r/disk"] = disk()
        let started = try await bench.start()
        bench.service.start()
        let job = try await bench.end(of: started.id)
        #expect(job.jobState == .exception && job.reason == .resourceLimit && job.errorCode == 32778)
        #expect(!exists(bench.spool(job)))
    }

    // MARK: Results

    @Test("The results are the ranges, from any offset, in messages of any length", arguments: seeds)
    func results(seed: UInt64) async throws {
        print("results: seed \(seed)")
        var generator = RepeatableGenerator(seed: seed)
        let bench = try JobBench()
        var disk = ScriptedDisk.random(using: &generator, ranges: generator.chance(30) ? 9_000 : 60)
        disk.rangesInBatch = generator.chance(50) ? 3 : 700
        bench.disks["r/disk"] = disk
        let units = disk.size / 512
        let start = generator.chance(50) ? 0 : UInt64.random(in: 0..<units, using: &generator) * 512
        let end = generator.chance(50) ? disk.size : UInt64.random(in: start / 512...units, using: &generator) * 512
        let started = try await bench.start(window: start..<end)
        bench.service.start()
        let job = try await bench.end(of: started.id)
        #expect(job.jobState == .completed, "\(job)")
        var offsets = [0, start, end]
        for _ in 0..<12 { offsets.append(UInt64.random(in: start / 512...end / 512, using: &generator) * 512) }
        for offset in offsets {
            let message = generator.chance(50) ? 16 * 1024 : 256 * 1024
            let (header, ranges) = try await bench.results(job.id, from: offset, maximumMessage: message)
            let from = offset == 0 ? start : offset
            #expect(header.windowOffset == from && header.windowLength == end - from)
            #expect(header.epoch == "epoch" && header.size == disk.size && header.basis == .changes)
            #expect(ranges == disk.ranges(in: from..<end), "from \(from)")
        }
    }

    @Test("An offset that is none")
    func offsets() async throws {
        let bench = try JobBench()
        bench.disks["r/disk"] = disk()
        bench.disks["r/large"] = ScriptedDisk(
            size: 1 << 20,
            ranges: [.init(start: 8192, end: 16_384, kind: .data)],
            sector: 4096,
            granularity: 65_536
        )
        bench.service.start()
        let job = try await bench.start(window: 4_096..<65_536)
        let large = try await bench.start("r/large")
        for id in [job.id, large.id] { try await bench.end(of: id) }
        for offset in [512, 3_584, 66_048, UInt64.max] {
            _ = await expectError(.offsetOutOfRange) { _ = try await bench.results(job.id, from: offset) }
        }
        for offset in [4_097, 5_000] as [UInt64] {
            _ = await expectError(.invalidParameter) { _ = try await bench.results(job.id, from: offset) }
        }
        _ = await expectError(.invalidParameter) { _ = try await bench.results(large.id, from: 512) }
        let (header, ranges) = try await bench.results(large.id, from: 12_288)
        #expect(header.unit == 512)
        #expect(ranges == [.init(start: 12_288, end: 16_384, kind: .data)])
    }

    @Test("Results that were damaged are never told")
    func damagedResults() async throws {
        let bench = try JobBench()
        bench.disks["r/disk"] = disk()
        bench.service.start()
        let job = try await bench.start()
        try await bench.end(of: job.id)
        try flip(byte: 40, of: bench.spool(job))
        let error = await expectError(.internal) { _ = try await bench.results(job.id) }
        #expect(error?.message.contains("damaged, at byte 0 ") == true, "\(String(describing: error))")
        remove(bench.spool(job))
        _ = await expectError(.internal) { _ = try await bench.results(job.id) }
    }

    // MARK: Ending it

    @Test("A job that waits or runs is cancelled, one that has ended is not")
    func cancellation() async throws {
        let bench = try JobBench { $0.running = 1 }
        for name in ["r/a", "r/b"] { bench.disks[name] = disk() }
        let gate = bench.disks.hold("r/a")
        bench.service.start()
        let running = try await bench.start("r/a")
        let waiting = try await bench.start("r/b")
        gate.allow(2)
        try await bench.wait(running.id) { $0.totals.processed > 0 }
        #expect(try await bench.job(waiting.id).jobState == .new)
        for job in [waiting, running] {
            _ = await expectError(.jobNotReady) { _ = try await bench.results(job.id) }
            let request = JobRequest(id: job.id)
            _ = await expectError(.jobNotReady) {
                _ = try await bench.service.deleteJob(request, context: bench.context())
            }
            let cancelled = try await bench.service.cancelJob(request, context: bench.context())
            #expect(cancelled.jobState == .terminated && cancelled.reason == .cancelled)
            #expect(cancelled.errorCode == 32768 && cancelled.returnValue == 32768)
            #expect(try await bench.service.cancelJob(request, context: bench.context()) == cancelled)
            #expect(try await bench.watch(job.id) == [cancelled])
            _ = await expectError(.cancelled) { _ = try await bench.results(job.id) }
        }
        // Its place is free again.
        let next = try await bench.start("r/b")
        #expect(try await bench.end(of: next.id).jobState == .completed)
        let again = try await bench.service.cancelJob(JobRequest(id: next.id), context: bench.context())
        #expect(again.jobState == .completed)
        #expect(bench.service.unendedCount == 0)
        await bench.service.stop()
        #expect(!exists(bench.spool(running)) && !exists(bench.spool(waiting)) && exists(bench.spool(next)))
    }

    @Test("A job that was deleted is gone, and who reads its results may read on")
    func deletion() async throws {
        let bench = try JobBench()
        bench.disks["r/disk"] = disk()
        bench.service.start()
        let job = try await bench.start()
        try await bench.end(of: job.id)
        let stream = try await bench.service.getJobResults(JobResultsRequest(id: job.id), context: bench.context())
        _ = try await bench.service.deleteJob(JobRequest(id: job.id), context: bench.context())
        #expect(!exists(bench.spool(job)))
        #expect(try await JobBench.read(stream).ranges == disk().ranges)
        let request = JobRequest(id: job.id)
        let context = bench.context()
        _ = await expectError(.jobNotFound) { _ = try await bench.service.getJob(request, context: context) }
        _ = await expectError(.jobNotFound) { _ = try await bench.service.deleteJob(request, context: context) }
        _ = await expectError(.jobNotFound) { _ = try await bench.service.cancelJob(request, context: context) }
        _ = await expectError(.jobNotFound) { _ = try await bench.service.watchJob(request, context: context) }
        _ = await expectError(.jobNotFound) { _ = try await bench.results(job.id) }
        for id in ["", "x", "{}", GUID.zero.description, "\0"] {
            _ = await expectError(.jobNotFound) { _ = try await bench.job(id) }
        }
    }

    // MARK: Limits

    @Test("Who has too many that have not ended waits, and others do not")
    func tooMany() async throws {
        let bench = try JobBench {
            $0.unendedPerIdentity = 2
            $0.retryDelay = 1_234
        }
        bench.disks["r/disk"] = disk()
        let first = try await bench.start(as: "a")
        _ = try await bench.start(as: "a")
        let asked = bench.disks.requests.count
        let error = await expectError(.resourceLimit) { _ = try await bench.start(as: "a") }
        #expect(error?.retryDelay == 1_234 && error?.status == .resourceExhausted)
        // Nothing of it was begun, so that it can be made again without harm.
        #expect(bench.disks.requests.count == asked)
        _ = try await bench.start(as: "b")
        _ = try await bench.service.cancelJob(JobRequest(id: first.id), context: bench.context("a"))
        _ = try await bench.start(as: "a")
        _ = await expectError(.resourceLimit) { _ = try await bench.start(as: "a") }
    }

    @Test("Jobs are forgotten when their time is up, and when they take too much room")
    func forgetting() async throws {
        let bench = try JobBench {
            $0.retention = .seconds(60)
            $0.keptJobs = 2
        }
        bench.disks["r/disk"] = disk()
        bench.service.start()
        var jobs: [Job] = []
        for _ in 0..<3 {
            jobs.append(try await bench.start())
            try await bench.end(of: jobs[jobs.count - 1].id)
            bench.clock.advance(.seconds(10))
        }
        await bench.service.stop()
        func left() async throws -> [String] {
            try await bench.service.listJobs(ListJobsRequest(), context: bench.context()).jobs.map(\.id)
        }
        #expect(try await left() == [jobs[2].id, jobs[1].id])
        #expect(!exists(bench.spool(jobs[0])) && exists(bench.spool(jobs[1])))
        bench.clock.advance(.seconds(40))
        bench.service.runner.sweep()
        #expect(try await left() == [jobs[2].id])
        #expect(!exists(bench.spool(jobs[1])))
        bench.clock.advance(.seconds(10))
        bench.service.runner.sweep()
        #expect(try await left() == [])
    }

    @Test("The list has the newest that one message takes")
    func listing() async throws {
        let bench = try JobBench { $0.unendedPerIdentity = 200 }
        bench.disks["r/disk"] = disk()
        var ids: [String] = []
        for _ in 0..<40 { ids.insert(try await bench.start().id, at: 0) }
        for message in [4 * 1024, 256 * 1024] {
            let list = try await bench.service.listJobs(
                ListJobsRequest(),
                context: bench.context(maximumMessage: message)
            )
            #expect(try list.encodedSize() <= message)
            #expect(list.jobs.map(\.id) == Array(ids.prefix(list.jobs.count)))
            #expect(message > 4 * 1024 ? list.jobs.count == 40 : (5..<40).contains(list.jobs.count))
        }
    }
}

import DiskDeltaProtocol
import DiskImages
import GRDB
import TestSupport
import Testing

@testable import DiskDeltaJobs

@Suite("The jobs in SQLite")
struct JobStoreTests {
    private let folder: TemporaryFolder
    private let store: JobStore

    init() throws {
        folder = try TemporaryFolder()
        store = try JobStore(folder.file("jobs.sqlite"))
    }

    private func job(_ number: UInt64, owner: String = "a", root: String = "r") -> JobRecord {
        JobRecord(
            id: GUID(high: 7, low: number),
            owner: owner,
            root: root,
            request: GetVirtualDiskChangesRequest(path: "r/d\(number)", limitID: "{x}", byteLength: 1 << 30),
            header: AnswerHeader(
                disk: "r/d\(number)",
                format: .vhdx,
                size: 1 << 40,
                since: "{x}",
                epoch: "e",
                granularity: 512,
                basis: .changes,
                unit: 512,
                windowOffset: 1 << 20,
                windowLength: 1 << 30
            ),
            sector: 512,
            submitted: JobTime(milliseconds: Int64(number)),
            lastChange: JobTime(milliseconds: Int64(number))
        )
    }

    private func ended(
        _ number: UInt64,
        at time: Int64,
        bytes: UInt64 = 0,
        failure: JobFailure? = nil
    ) throws -> JobRecord {
        var record = job(number)
        try store.insert(record)
        record.spoolLength = bytes
        record.end(failure, at: JobTime(milliseconds: time), keptFor: .milliseconds(1_000))
        #expect(try store.save(record))
        return record
    }

    @Test("A job comes back as it was, after another opening too")
    func roundTrip() throws {
        var record = job(1)
        try store.insert(record)
        #expect(try store.job(record.id) == .sound(record))
        record.state = .running
        record.started = JobTime(milliseconds: 5)
        record.lastChange = JobTime(milliseconds: 6)
        record.elapsed = 77
        record.totals = AnswerTotals(
            processed: 4096,
            ranges: 3,
            bytes: 1_536,
            dataBytes: 1_024,
            zeroBytes: 512,
            offsetSum: .max - 5
        )
        record.spoolLength = 99
        #expect(try store.save(record))
        #expect(try store.job(record.id) == .sound(record))
        record.end(
            JobFailure(reason: .epochChanged, message: "It's changed; \"really\"", detailCode: 0xC03A_0030),
            at: JobTime(milliseconds: 8),
            keptFor: .seconds(1)
        )
        #expect(try store.save(record))
        let again = try JobStore(folder.file("jobs.sqlite"))
        #expect(try again.job(record.id) == .sound(record))
        #expect(try again.job(GUID(high: 0, low: 0)) == nil)
    }

    @Test("A job that has ended stays as it is, and only such a one is deleted")
    func endIsFinal() throws {
        let record = job(1)
        try store.insert(record)
        #expect(try !store.delete(record.id))
        var cancelled = record
        cancelled.end(.cancelled, at: JobTime(milliseconds: 5), keptFor: .seconds(1))
        #expect(try store.save(cancelled))
        var completed = record
        completed.end(nil, at: JobTime(milliseconds: 6), keptFor: .seconds(1))
        #expect(try !store.save(completed))
        #expect(try !store.save(record))
        #expect(try store.job(record.id) == .sound(cancelled))
        #expect(try store.delete(record.id))
        #expect(try !store.delete(record.id))
        #expect(try !store.save(record))
        #expect(try store.job(record.id) == nil)
    }

    @Test("Those that ran come first, each in their order")
    func unended() throws {
        for number in 1...5 as ClosedRange<UInt64> { try store.insert(job(number)) }
        for (number, time) in [(4, 10), (2, 20)] as [(UInt64, Int64)] {
            var record = job(number)
            record.state = .running
            record.started = JobTime(milliseconds: time)
            #expect(try store.save(record))
        }
        var record = job(3)
        record.end(nil, at: JobTime(milliseconds: 9), keptFor: .zero)
        #expect(try store.save(record))
        #expect(try store.unendedJobs().jobs.map(\.id.low) == [4, 2, 1, 5])
        #expect(try store.jobsWithSpool().map(\.low).sorted() == [1, 2, 3, 4, 5])
        record = job(1)
        record.end(.cancelled, at: JobTime(milliseconds: 9), keptFor: .zero)
        #expect(try store.save(record))
        #expect(try store.jobsWithSpool().map(\.low).sorted() == [2, 3, 4, 5])
    }

    @Test("The newest first, those that may be seen, as many as are wanted")
    func listing() throws {
        for number in 1...6 as ClosedRange<UInt64> {
            try store.insert(job(number, owner: number % 2 == 0 ? "a" : "b", root: number == 5 ? "s" : "r"))
        }
        func list(_ count: Int, _ isVisible: (String, String) -> Bool) throws -> [UInt64] {
            var found: [UInt64] = []
            try store.newestFirst(where: isVisible) { job in
                if case .sound(let record) = job { found.append(record.id.low) }
                return found.count < count
            }
            return found
        }
        #expect(try list(9) { _, _ in true } == [6, 5, 4, 3, 2, 1])
        #expect(try list(9) { owner, root in owner == "a" || root == "s" } == [6, 5, 4, 2])
        #expect(try list(2) { owner, _ in owner == "b" } == [5, 3])
        #expect(try list(9) { _, _ in false } == [])
    }

    @Test func age() throws {
        try store.insert(job(1))
        _ = try ended(2, at: 100)
        _ = try ended(3, at: 200, failure: .cancelled)
        #expect(try store.forget(expiredAt: JobTime(milliseconds: 1_099)) == [])
        #expect(try store.forget(expiredAt: JobTime(milliseconds: 1_100)).map(\.low) == [2])
        #expect(try store.forget(expiredAt: JobTime(milliseconds: .max)).map(\.low) == [3])
        #expect(try store.job(GUID(high: 7, low: 1)) != nil)
    }

    @Test("Too many jobs, and too many bytes: those go that ended first")
    func room() throws {
        try store.insert(job(1))
        let jobs: [(UInt64, Int64, UInt64)] = [(2, 400, 10), (3, 100, 20), (4, 300, 0), (5, 200, 30)]
        for (number, time, bytes) in jobs {
            _ = try ended(number, at: time, bytes: bytes)
        }
        #expect(try store.forget(beyond: 4, bytes: 60) == [])
        #expect(try store.forget(beyond: 3, bytes: 60).map(\.low) == [3])
        // 4 ended before 2 and has no bytes that anything were won by.
        #expect(try store.forget(beyond: 3, bytes: 5).map(\.low) == [5, 2])
        #expect(try store.forget(beyond: 0, bytes: 5).map(\.low) == [4])
        #expect(try store.job(GUID(high: 7, low: 1)) != nil)
    }

    @Test("What is written is on the medium")
    func durability() throws {
        let other = try DatabaseQueue(path: folder.file("jobs.sqlite"))
        #expect(try other.read { try String.fetchOne($0, sql: "PRAGMA journal_mode") } == "wal")
        #expect(try store.synchronous() == 2)
    }

    @Test("What a later version wrote is not touched")
    func laterVersion() throws {
        let path = folder.file("later.sqlite")
        _ = try JobStore(path)
        let later = try DatabaseQueue(path: path)
        try later.write { try $0.execute(sql: "INSERT INTO grdb_migrations VALUES ('999: later')") }
        let error = #expect(throws: StateError.self) { try JobStore(path) }
        #expect(error?.message.contains("later version") == true, "\(String(describing: error))")
    }

    @Test("A text ends at a NUL, and is no damage by that")
    func nul() throws {
        var record = job(1)
        try store.insert(record)
        let failure = JobFailure(reason: .imageCorrupt, message: "The name \"a\0b\" is none")
        record.end(failure, at: JobTime(milliseconds: 8), keptFor: .seconds(1))
        #expect(try store.save(record))
        guard case .sound(let kept) = try store.job(record.id) else {
            Issue.record("The job is damaged")
            return
        }
        #expect(kept.failure?.message == "The name \"a")
    }
}

import DiskDeltaProtocol
import DiskImages
import Foundation
import GRDB
import TestSupport
import Testing

@testable import DiskDeltaJobs

@Suite("Rows of jobs that are not what was written")
struct JobDamageTests {
    private let folder: TemporaryFolder
    private let store: JobStore
    private let database: JobDatabase

    init() throws {
        folder = try TemporaryFolder()
        store = try JobStore(folder.file("jobs.sqlite"))
        database = try JobDatabase(folder.file("jobs.sqlite"))
    }

    private func record(_ number: UInt64, owner: String = "me") -> JobRecord {
        JobRecord(
            id: GUID(high: number &* 0x9E37_79B9_7F4A_7C15, low: number),
            owner: owner,
            root: "r",
            request: GetVirtualDiskChangesRequest(
                path: "r/d\(number)",
                limitID: "{x}",
                byteLength: 1 << 20,
                ifSize: 1 << 21
            ),
            header: AnswerHeader(
                disk: "r/d\(number)",
                format: .qcow2,
                size: 1 << 21,
                since: "{x}",
                epoch: "e",
                granularity: 512,
                basis: .changes,
                unit: 512,
                windowOffset: 1 << 20,
                windowLength: 1 << 20
            ),
            sector: 512,
            submitted: JobTime(milliseconds: 1_800_000_000_000),
            lastChange: JobTime(milliseconds: 1_800_000_000_000)
        )
    }

    /// Jobs in all kinds of states, written down.
    private func jobs() throws -> [JobRecord] {
        var waiting = record(1)
        waiting.state = .new
        var running = record(2)
        running.change(to: .running, at: JobTime(milliseconds: 1_800_000_000_500))
        running.started = running.lastChange
        running.elapsed = 17
        running.totals = AnswerTotals(
            processed: 4_096,
            ranges: 3,
            bytes: 1_536,
            dataBytes: 1_024,
            zeroBytes: 512,
            offsetSum: .max - 5
        )
        running.spoolLength = 99
        var completed = running.with(id: 3)
        completed.totals.processed = 1 << 20
        completed.end(nil, at: JobTime(milliseconds: 1_800_000_001_000), keptFor: .seconds(60))
        var failed = running.with(id: 4)
        failed.end(
            JobFailure(reason: .imageCorrupt, message: "Block 7 is \u{FFFD}", detailCode: 0xC03A_0003),
            at: JobTime(milliseconds: 1_800_000_001_500),
            keptFor: .seconds(60)
        )
        var cancelled = record(5)
        cancelled.end(.cancelled, at: JobTime(milliseconds: 1_800_000_002_000), keptFor: .seconds(60))
        let jobs = [waiting, running, completed, failed, cancelled]
        for job in jobs {
            try store.insert(job)
            #expect(try store.save(job) == !job.hasEnded)
        }
        return jobs
    }

    @Test("Whatever bit of a row is another, the job is said to be damaged, and no other is touched")
    func everyBit() throws {
        let jobs = try jobs()
        let rows = try database.rows()
        #expect(rows.count == jobs.count)
        var damages = 0
        for (job, row) in zip(jobs, rows) {
            let others = jobs.filter { $0.id != job.id }
            // No two rows have one number.
            let numbers = rows.map { $0["number"] }
            for damage in database.damages(of: row) where damage.column != "number" || !numbers.contains(damage.value) {
                let place = "\(damage)"
                damages += 1
                try database.apply(damage, to: row)
                let found = try store.job(job.id)
                // Under another id, nobody finds it under this one.
                #expect(
                    found?.isDamaged ?? place.hasPrefix("id,"),
                    "\(place) of \(job.state): \(String(describing: found))"
                )
                if case .damaged(let damaged)? = found {
                    #expect(damaged.id == job.id.description)
                    let isOwnerDamaged = ["owner", "root", "owner_checksum"].contains { place.hasPrefix($0 + ",") }
                    #expect(damaged.owner == (isOwnerDamaged ? nil : .init(name: "me", root: "r")), "\(place)")
                }
                // What reads all rows is tried with some of the damages, of every column.
                guard damages % 7 == 0 else {
                    try database.restore(row, after: damage)
                    continue
                }
                let unended = try store.unendedJobs()
                #expect(
                    unended.jobs == others.filter { !$0.hasEnded }.sorted { $0.started != nil && $1.started == nil }
                )
                #expect(unended.damaged.count == 1, "\(place)")
                var listed: [JobRecord] = []
                try store.newestFirst(where: { owner, root in owner == "me" && root == "r" }) { job in
                    if case .sound(let record) = job { listed.append(record) }
                    return true
                }
                #expect(Set(listed) == Set(others), "\(place)")
                for other in others { #expect(try store.job(other.id) == .sound(other), "\(place)") }
                // Nothing of it is written over, or forgotten for what it seems to be.
                #expect(throws: JobStoreError.self) {
                    guard try store.save(job) else { throw JobStoreError(message: "It has another id") }
                }
                try database.restore(row, after: damage)
            }
            #expect(try store.job(job.id) == .sound(job))
        }
        #expect(damages > 5_000)
    }

    @Test("What stands at another job, or in another column, is damage")
    func exchanges() throws {
        let jobs = try jobs()
        let rows = try database.rows()
        func expectDamage(_ what: String, _ ids: [Int], _ change: () throws -> Void) throws {
            try change()
            for index in ids {
                let found = try store.job(jobs[index].id)
                #expect(found?.isDamaged == true, "\(what): \(String(describing: found))")
            }
            try database.execute("UPDATE job SET id = 'free' || number")
            for row in rows { try database.restore(row) }
            for job in jobs { #expect(try store.job(job.id) == .sound(job)) }
        }
        func exchange(_ columns: [String], _ left: Int, _ right: Int) throws {
            for column in columns where column == "id" {
                try database.set(column, to: "free".databaseValue, at: rows[left]["number"] ?? .null)
            }
            for (from, to) in [(left, right), (right, left)] {
                for column in columns {
                    try database.set(column, to: rows[from][column] ?? .null, at: rows[to]["number"] ?? .null)
                }
            }
        }
        let all = rows[0].keys.filter { $0 != "number" }.sorted()
        try expectDamage("two ids", [2, 3]) { try exchange(["id"], 2, 3) }
        try expectDamage("all but the ids", [2, 3]) { try exchange(all.filter { $0 != "id" }, 2, 3) }
        try expectDamage("all but the numbers", [2, 3]) { try exchange(all, 2, 3) }
        for column in all where rows[1][column] != rows[2][column] {
            try expectDamage(column, [1, 2]) { try exchange([column], 1, 2) }
        }
        try expectDamage("two columns", [2]) {
            let number = rows[2]["number"] ?? .null
            try database.set("owner", to: rows[2]["root"] ?? .null, at: number)
            try database.set("root", to: rows[2]["owner"] ?? .null, at: number)
        }
        try expectDamage("a row without checksums", [0]) {
            try database.execute("UPDATE job SET owner_checksum = 0, checksum = 0 WHERE number = 1")
        }
    }

    @Test("A damaged row is deleted by its id")
    func deletion() throws {
        let jobs = try jobs()
        for (index, damage) in ["header = x''", "state = 2", "owner = 'you'", "expires = 0", "checksum = 5"]
            .enumerated()
        {
            try database.execute("UPDATE job SET \(damage) WHERE number = \(index + 1)")
        }
        for job in jobs {
            #expect(try store.delete(job.id))
            #expect(try !store.delete(job.id))
            #expect(try store.job(job.id) == nil)
        }
        #expect(try database.rows().isEmpty)
    }

    @Test("What a damaged row says of its time and its room makes no job go")
    func room() throws {
        let jobs = try jobs()
        try database.execute("UPDATE job SET expires = 0 WHERE number = 3")
        #expect(try store.forget(expiredAt: JobTime(milliseconds: 1_800_000_060_000)) == [])
        let taken = jobs.reduce(0) { $0 + $1.spoolLength }
        for length in ["9223372036854775807", "-9223372036854775808", "4611686018427387904"] {
            try database.execute("UPDATE job SET spool_length = \(length) WHERE number = 3")
            #expect(try store.forget(beyond: 3, bytes: taken) == [], "\(length)")
        }
        // Where one must go, it is the first.
        #expect(try store.forget(beyond: 2, bytes: taken) == [jobs[2].id])
        #expect(try store.forget(beyond: 2, bytes: taken) == [])
        #expect(try store.forget(beyond: 1, bytes: taken) == [jobs[3].id])
    }

    @Test("An index that leads to another row shows nobody that job, and spoils it for nobody")
    func index() throws {
        let jobs = try jobs()
        let path = folder.file("index.sqlite")
        try database.copy(to: path)
        // In the index there stands behind an id the number of its row, in the table the owner.
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        let place = try #require(bytes.range(of: Data(jobs[1].id.description.utf8 + [2])))
        bytes[place.upperBound - 1] = 3
        try bytes.write(to: URL(fileURLWithPath: path))
        let store = try JobStore(path)
        let damage = StoredJob.damaged(DamagedJob(id: jobs[1].id.description))
        #expect(try store.job(jobs[1].id) == damage)
        #expect(throws: JobStoreError.self) { try store.save(jobs[1]) }
        #expect(throws: JobStoreError.self) { try store.delete(jobs[1].id) }
        #expect(try store.job(jobs[2].id) == .sound(jobs[2]))
        #expect(try store.unendedJobs().jobs == [jobs[1], jobs[0]])
    }

    @Test("Whatever byte of the file a row has there, it opens, and tells of each job the truth or of its damage")
    func anyByteOfTheRows() throws {
        let jobs = try jobs()
        let path = folder.file("bytes.sqlite")
        try database.copy(to: path)
        let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        // A row begins some bytes before its id: with its length and the types of its columns.
        let start = try #require(bytes.range(of: Data((jobs[2].id.description + "me").utf8))).lowerBound - 36
        let end = try #require(bytes.range(of: Data(jobs[2].header.disk.utf8), in: start..<bytes.count)).upperBound + 80
        var seed: UInt8 = 0x35
        for place in start..<min(end, bytes.count) {
            seed = seed &* 29 &+ 17
            var damaged = bytes
            damaged[place] ^= seed == 0 ? 1 : seed
            let path = folder.file("damaged.sqlite")
            try damaged.write(to: URL(fileURLWithPath: path))
            let store = try JobStore(path)
            for job in jobs {
                guard case .sound(let found)? = try store.job(job.id) else { continue }
                #expect(found == job, "byte \(place)")
            }
            _ = try? store.jobsWithSpool()
            for found in try store.unendedJobs().jobs { #expect(jobs.contains(found), "byte \(place)") }
            try store.newestFirst(where: { _, _ in true }) { found in
                if case .sound(let found) = found { #expect(jobs.contains(found), "byte \(place)") }
                return true
            }
        }
    }

    @Test("The rows of the version before are taken over")
    func migration() throws {
        let path = folder.file("before.sqlite")
        let queue = try DatabaseQueue(path: path)
        try JobSchema.migrator.migrate(queue, upTo: "1: jobs")
        let jobs = try jobs()
        try queue.write { database in
            for job in jobs {
                try database.execute(
                    sql: """
                        INSERT INTO job (\(JobRow.columns.joined(separator: ", ")))
                        VALUES (\(databaseQuestionMarks(count: JobRow.columns.count)))
                        """,
                    arguments: StatementArguments(try JobRow.values(of: job))
                )
            }
        }
        try queue.close()
        let migrated = try JobStore(path)
        for job in jobs { #expect(try migrated.job(job.id) == .sound(job)) }
        #expect(try migrated.unendedJobs().jobs.map(\.id.low) == [2, 1])
        #expect(try migrated.unendedJobs().damaged == [])
        // From then on they are guarded.
        try JobDatabase(path).execute("UPDATE job SET sector = 4096 WHERE number = 3")
        #expect(try migrated.job(jobs[2].id)?.isDamaged == true)
    }
}

extension StoredJob {
    fileprivate var isDamaged: Bool { if case .damaged = self { true } else { false } }
}

extension JobRecord {
    /// The same of another job.
    fileprivate func with(id: UInt64) -> JobRecord {
        var copy = JobRecord(
            id: GUID(high: id &* 0x9E37_79B9_7F4A_7C15, low: id),
            owner: owner,
            root: root,
            request: request,
            header: header,
            sector: sector,
            submitted: submitted,
            state: state,
            started: started,
            lastChange: lastChange,
            elapsed: elapsed
        )
        copy.totals = totals
        copy.spoolLength = spoolLength
        return copy
    }
}

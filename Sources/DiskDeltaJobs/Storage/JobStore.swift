internal import DiskDeltaProtocol
internal import DiskImages
internal import GRDB

/// What is known of each job, in SQLite. All SQL is here and in `JobSchema`.
///
/// What a method has written is on the medium when it returns (WAL, `synchronous = FULL`). A row whose job has ended never
/// changes again: who is second to end a job is told, and so two who end it at the same time agree.
final class JobStore: Sendable {
    private let database: DatabaseQueue

    /// - Throws: `StateError` where the file cannot be opened, or a later version of this program wrote it.
    init(_ path: String) throws(StateError) {
        do {
            database = try DatabaseQueue(path: path)
            try database.writeWithoutTransaction { database in
                try database.execute(sql: "PRAGMA journal_mode = WAL")
                try database.execute(sql: "PRAGMA synchronous = FULL")
            }
            let migrator = JobSchema.migrator
            guard try !database.read(migrator.hasBeenSuperseded) else {
                throw StateError(message: "The jobs in \(path) were written by a later version of diskdeltad")
            }
            try migrator.migrate(database)
        } catch let error as StateError {
            throw error
        } catch {
            throw StateError(message: "The jobs in \(path) cannot be read: \(error)")
        }
    }

    /// Adds a job that has just been made.
    func insert(_ record: JobRecord) throws(JobStoreError) {
        try write { database in
            let values = try JobRow.values(of: record)
            let marks = databaseQuestionMarks(count: values.count)
            // The number is known, and the row sealed, within the same transaction.
            try database.execute(
                sql: """
                    INSERT INTO job (\(JobRow.columns.joined(separator: ", ")), owner_checksum, checksum)
                    VALUES (\(marks), 0, 0)
                    """,
                arguments: StatementArguments(values)
            )
            try JobRow.seal(database.lastInsertedRowID, values, in: database)
        }
    }

    /// Writes down how a job stands. False where it has ended before, or is not there: nothing is written then.
    ///
    /// - Throws: an error with `isDamage` where its row is not what was written last.
    func save(_ record: JobRecord) throws(JobStoreError) -> Bool {
        try write { database in
            guard let found = try Self.find(record.id, in: database) else { return false }
            switch found.job {
            case .damaged(let job): throw JobStoreError(job)
            case .sound(let before) where before.hasEnded: return false
            case .sound: break
            }
            guard let number = found.number else { return false }
            let values = try JobRow.values(of: record)
            let assignments = JobRow.changingColumns.map { "\($0) = ?" }.joined(separator: ", ")
            try database.execute(
                sql: "UPDATE job SET \(assignments) WHERE number = ?",
                arguments: StatementArguments(
                    values.dropFirst(JobRow.fixedColumns.count) + [number.databaseValue]
                )
            )
            try JobRow.seal(number, values, in: database)
            return true
        }
    }

    /// The job `id`; nil where there is none.
    func job(_ id: GUID) throws(JobStoreError) -> StoredJob? {
        try read { database in try Self.find(id, in: database)?.job }
    }

    /// The jobs that have not ended: first those that have run already, each in the order of its beginning. And all those that
    /// are damaged.
    func unendedJobs() throws(JobStoreError) -> (jobs: [JobRecord], damaged: [DamagedJob]) {
        try read { database in
            var jobs: [JobRecord] = []
            var damaged: [DamagedJob] = []
            for number in try Self.numbers(in: database) {
                guard let row = try Self.row(number, in: database) else {
                    damaged.append(DamagedJob(id: "number \(number)"))
                    continue
                }
                if let damage = JobRow.damage(of: row) {
                    damaged.append(damage)
                } else if !JobRow.hasEnded(row) {
                    switch JobRow.stored(row) {
                    case .sound(let record): jobs.append(record)
                    case .damaged(let job): damaged.append(job)
                    }
                }
            }
            let order = jobs.enumerated().sorted { left, right in
                let never = JobTime(milliseconds: .max)
                let times = (left.element.started ?? never, right.element.started ?? never)
                return times.0 != times.1 ? times.0 < times.1 : left.offset < right.offset
            }
            return (order.map(\.element), damaged)
        }
    }

    /// Hands out jobs, the newest first, as long as `take` returns true. One of which nobody can say whose it is is left out.
    ///
    /// - Parameter isVisible: whether the job of this owner, in this root, is handed out at all.
    func newestFirst(
        where isVisible: (_ owner: String, _ root: String) -> Bool,
        take: (StoredJob) -> Bool
    ) throws(JobStoreError) {
        try read { database in
            for number in try Self.numbers(in: database).reversed() {
                guard let row = try Self.row(number, in: database) else { continue }
                let job = JobRow.stored(row)
                guard let owner = job.owner, isVisible(owner.name, owner.root) else { continue }
                guard take(job) else { return }
            }
        }
    }

    /// Forgets a job that has ended, or is damaged. False where there is none.
    func delete(_ id: GUID) throws(JobStoreError) -> Bool {
        try write { database in
            guard let found = try Self.find(id, in: database) else { return false }
            switch found.job {
            case .sound(let record) where !record.hasEnded: return false
            case .sound: break
            case .damaged(let job) where found.number == nil: throw JobStoreError(job)
            case .damaged: break
            }
            try database.execute(sql: "DELETE FROM job WHERE number = ?", arguments: [found.number])
            return true
        }
    }

    /// Forgets the jobs whose time is up at `time`, and says which. When that of a damaged one is, nobody can say.
    func forget(expiredAt time: JobTime) throws(JobStoreError) -> [GUID] {
        try write { database in
            let rows = try Row.fetchCursor(
                database,
                sql: JobRow.selection + " WHERE state IN \(Self.ends) AND expires <= ?",
                arguments: [time.milliseconds]
            )
            var expired: [(number: Int64, id: GUID?)] = []
            while let row = try rows.next() {
                if JobRow.damage(of: row) == nil { expired.append((try JobRow.number(row), Self.id(row))) }
            }
            try Self.forget(expired.map(\.number), in: database)
            return expired.compactMap(\.id)
        }
    }

    /// Forgets those jobs that ended first, until no more than `count` of those that have ended are left and all spools
    /// together take at most `bytes`. Those that are damaged go before all others. Says which.
    func forget(beyond count: Int, bytes: UInt64) throws(JobStoreError) -> [GUID] {
        try write { database in
            // What a damaged row adds here is only the occasion to look closer, and none takes anything off.
            let sums = """
                SELECT COUNT(*) FILTER (WHERE state IN \(Self.ends)), TOTAL(MAX(spool_length, 0)) FROM job
                """
            guard let row = try Row.fetchOne(database, sql: sums),
                Int.fromDatabaseValue(row[0]) ?? 0 > count || Double.fromDatabaseValue(row[1]) ?? 0 > Double(bytes)
            else { return [] }
            return try Self.forget(beyond: count, bytes: bytes, in: database)
        }
    }

    private static func forget(beyond count: Int, bytes: UInt64, in database: Database) throws -> [GUID] {
        struct Kept {
            var number: Int64
            var id: GUID?
            /// Nil where nobody can say.
            var length: UInt64?
        }
        var damaged: [Kept] = []
        var sound: [Kept] = []
        var taken: UInt64 = 0
        let rows = try Row.fetchCursor(database, sql: JobRow.selection + " ORDER BY last_change, number")
        while let row = try rows.next() {
            var kept = Kept(number: try JobRow.number(row), id: Self.id(row))
            guard JobRow.damage(of: row) == nil, case .sound(let record) = JobRow.stored(row) else {
                damaged.append(kept)
                continue
            }
            kept.length = record.spoolLength
            taken = taken.addingReportingOverflow(record.spoolLength).partialValue
            if record.hasEnded { sound.append(kept) }
        }
        var left = damaged.count + sound.count
        var forgotten: [Kept] = []
        for kept in damaged + sound where left > count || taken > bytes {
            // For the sake of their bytes only those go that have some.
            guard left > count || kept.length != 0 else { continue }
            forgotten.append(kept)
            left -= 1
            taken -= min(kept.length ?? 0, taken)
        }
        try forget(forgotten.map(\.number), in: database)
        return forgotten.compactMap(\.id)
    }

    /// The jobs that have, or will have, a spool.
    func jobsWithSpool() throws(JobStoreError) -> Set<GUID> {
        try read { database in
            let without = "(\(JobState.terminated.rawValue), \(JobState.exception.rawValue))"
            let ids = try String.fetchAll(database, sql: "SELECT id FROM job WHERE state NOT IN \(without)")
            return Set(ids.compactMap { GUID($0) })
        }
    }

    /// SQLite's setting of that name, of the connection that writes.
    func synchronous() throws(JobStoreError) -> Int? {
        try read { database in try Int.fetchOne(database, sql: "PRAGMA synchronous") }
    }

    /// The row of a job: its number, nil where the row at its id is another's or cannot be read, and the job.
    private static func find(_ id: GUID, in database: Database) throws -> (number: Int64?, job: StoredJob)? {
        let id = id.description
        let damage = (number: Int64?.none, job: StoredJob.damaged(DamagedJob(id: id)))
        do {
            let sql = "SELECT number FROM job WHERE id = ?"
            guard let number = try Int64.fetchOne(database, sql: sql, arguments: [id]) else { return nil }
            // An index that is damaged leads to any row; by its number it is read without one.
            guard let row = try row(number, in: database), String.fromDatabaseValue(row[1]) == id else { return damage }
            return (number, JobRow.stored(row))
        } catch let error as DatabaseError where error.resultCode == .SQLITE_CORRUPT {
            return damage
        }
    }

    /// The numbers of all rows, ascending. They are read from an index, so that a row that SQLite cannot make out hides none.
    private static func numbers(in database: Database) throws -> [Int64] {
        do {
            return try Int64.fetchAll(database, sql: "SELECT number FROM job INDEXED BY job_by_end").sorted()
        } catch let error as DatabaseError where error.resultCode == .SQLITE_CORRUPT {
            return try Int64.fetchAll(database, sql: "SELECT number FROM job NOT INDEXED ORDER BY number")
        }
    }

    /// The row of that number; nil where SQLite cannot make it out. It is fetched alone, so that one does not hide all behind it.
    private static func row(_ number: Int64, in database: Database) throws -> Row? {
        do {
            let statement = try database.cachedStatement(sql: JobRow.selection + " WHERE number = ?")
            return try Row.fetchOne(statement, arguments: [number])
        } catch let error as DatabaseError where error.resultCode == .SQLITE_CORRUPT {
            return nil
        }
    }

    private static func id(_ row: Row) -> GUID? { String.fromDatabaseValue(row[1]).flatMap { GUID($0) } }

    private static func forget(_ numbers: [Int64], in database: Database) throws {
        for number in numbers {
            try database.execute(sql: "DELETE FROM job WHERE number = ?", arguments: [number])
        }
    }

    private static let ends =
        "(" + [JobState.completed, .terminated, .exception].map { "\($0.rawValue)" }.joined(separator: ", ") + ")"

    private func write<Result>(_ body: (Database) throws -> Result) throws(JobStoreError) -> Result {
        do {
            return try database.write(body)
        } catch {
            throw JobStoreError(error)
        }
    }

    /// Nobody else writes meanwhile, so that it takes no transaction; SQLite lets none end well in which it met a row that it
    /// cannot make out.
    private func read<Result>(_ body: (Database) throws -> Result) throws(JobStoreError) -> Result {
        do {
            return try database.unsafeRead(body)
        } catch {
            throw JobStoreError(error)
        }
    }
}

/// Jobs that cannot be read or written down.
struct JobStoreError: Error, Hashable, Sendable {
    /// What is the matter, without a full stop.
    let message: String
    /// Whether there is no room left.
    var isFull = false
    /// Whether the record of a job is not what was written.
    var isDamage = false
}

extension JobStoreError {
    init(_ job: DamagedJob) {
        self.init(message: "the record of the job \(job.id) is damaged", isDamage: true)
    }

    init(_ error: any Error) {
        switch error {
        case let error as JobStoreError: self = error
        case let error as DatabaseError:
            self.init(message: error.message ?? "\(error)", isFull: error.resultCode == .SQLITE_FULL)
        default: self.init(message: "\(error)")
        }
    }
}

extension CallError {
    init(_ error: JobStoreError) {
        self.init(error.isFull ? .resourceLimit : .internal, "The jobs of this server cannot be kept: \(error.message)")
    }
}

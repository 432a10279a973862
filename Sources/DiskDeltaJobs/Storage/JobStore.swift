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
            let marks = databaseQuestionMarks(count: JobRow.columns.count)
            try database.execute(
                sql: "INSERT INTO job (\(JobRow.columns.joined(separator: ", "))) VALUES (\(marks))",
                arguments: StatementArguments(try JobRow.fixedValues(of: record) + JobRow.changingValues(of: record))
            )
        }
    }

    /// Writes down how a job stands. False where it has ended before, or is not there: nothing is written then.
    func save(_ record: JobRecord) throws(JobStoreError) -> Bool {
        try write { database in
            let assignments = JobRow.changingColumns.map { "\($0) = ?" }.joined(separator: ", ")
            try database.execute(
                sql: "UPDATE job SET \(assignments) WHERE id = ? AND state NOT IN \(Self.ends)",
                arguments: StatementArguments(JobRow.changingValues(of: record) + [record.id.description])
            )
            return database.changesCount > 0
        }
    }

    /// The job `id`; nil where there is none.
    func job(_ id: GUID) throws(JobStoreError) -> JobRecord? {
        try read { database in
            let row = try Row.fetchOne(database, sql: Self.selection + " WHERE id = ?", arguments: [id.description])
            return try row.map(JobRow.record)
        }
    }

    /// The jobs that have not ended: first those that have run already, each in the order of its beginning. A row that is
    /// damaged is left out.
    func unendedJobs() throws(JobStoreError) -> [JobRecord] {
        try read { database in
            let order = "ORDER BY started IS NULL, started, number"
            let rows = try Row.fetchAll(database, sql: Self.selection + " WHERE state NOT IN \(Self.ends) \(order)")
            return rows.compactMap { try? JobRow.record($0) }
        }
    }

    /// Hands out jobs, the newest first, as long as `take` returns true. A row that is damaged is left out.
    ///
    /// - Parameter isVisible: whether the job of this owner, in this root, is handed out at all.
    func newestFirst(
        where isVisible: (_ owner: String, _ root: String) -> Bool,
        take: (JobRecord) -> Bool
    ) throws(JobStoreError) {
        try read { database in
            let rows = try Row.fetchCursor(database, sql: Self.selection + " ORDER BY number DESC")
            while let row = try rows.next() {
                let owner = String.fromDatabaseValue(row[1]) ?? ""
                guard isVisible(owner, String.fromDatabaseValue(row[2]) ?? "") else { continue }
                if let record = try? JobRow.record(row), !take(record) { return }
            }
        }
    }

    /// Forgets a job that has ended. False where there is none.
    func delete(_ id: GUID) throws(JobStoreError) -> Bool {
        try write { database in
            try database.execute(
                sql: "DELETE FROM job WHERE id = ? AND state IN \(Self.ends)",
                arguments: [id.description]
            )
            return database.changesCount > 0
        }
    }

    /// Forgets the jobs whose time is up at `time`, and says which.
    func forget(expiredAt time: JobTime) throws(JobStoreError) -> [GUID] {
        try write { database in
            try String.fetchAll(
                database,
                sql: "DELETE FROM job WHERE state IN \(Self.ends) AND expires <= ? RETURNING id",
                arguments: [time.milliseconds]
            ).compactMap { GUID($0) }
        }
    }

    /// Forgets those jobs that ended first, until no more than `count` of those that have ended are left and all spools
    /// together take at most `bytes`. Says which.
    func forget(beyond count: Int, bytes: UInt64) throws(JobStoreError) -> [GUID] {
        try write { database in
            let sums = "SELECT COUNT(*) FILTER (WHERE state IN \(Self.ends)), TOTAL(spool_length) FROM job"
            guard let row = try Row.fetchOne(database, sql: sums) else { return [] }
            var left = Int.fromDatabaseValue(row[0]) ?? 0
            var taken = Double.fromDatabaseValue(row[1]) ?? 0
            guard left > count || taken > Double(bytes) else { return [] }
            var forgotten: [GUID] = []
            let order = "ORDER BY last_change, number"
            let rows = try Row.fetchCursor(
                database,
                sql: "SELECT id, spool_length FROM job WHERE state IN \(Self.ends) \(order)"
            )
            while left > count || taken > Double(bytes), let row = try rows.next() {
                let length = Double.fromDatabaseValue(row[1]) ?? 0
                // For the sake of their bytes only those go that have some.
                guard left > count || length > 0 else { continue }
                guard let id = GUID(String.fromDatabaseValue(row[0]) ?? "") else { continue }
                forgotten.append(id)
                left -= 1
                taken -= length
            }
            for id in forgotten {
                try database.execute(sql: "DELETE FROM job WHERE id = ?", arguments: [id.description])
            }
            return forgotten
        }
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

    private static let selection = "SELECT \(JobRow.columns.joined(separator: ", ")) FROM job"
    private static let ends =
        "(" + [JobState.completed, .terminated, .exception].map { "\($0.rawValue)" }.joined(separator: ", ") + ")"

    private func write<Result>(_ body: (Database) throws -> Result) throws(JobStoreError) -> Result {
        do {
            return try database.write(body)
        } catch {
            throw JobStoreError(error)
        }
    }

    private func read<Result>(_ body: (Database) throws -> Result) throws(JobStoreError) -> Result {
        do {
            return try database.read(body)
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
}

extension JobStoreError {
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

internal import DiskDeltaProtocol
internal import DiskImages
internal import Foundation
internal import GRDB

/// How a job stands in its row.
enum JobRow {
    /// Whose the job is.
    static let ownerColumns = ["id", "owner", "root"]
    /// The columns that stay as they were when the job was started, and those that change.
    static let fixedColumns = ownerColumns + ["request", "header", "sector", "submitted"]
    static let changingColumns = [
        "state", "started", "last_change", "elapsed", "reason", "message", "detail_code", "processed", "ranges",
        "data_bytes", "zero_bytes", "offset_sum", "spool_length", "expires",
    ]
    /// What a job is; the checksums are of these, and of the number of the row.
    static let columns = fixedColumns + changingColumns

    /// Reads rows as `stored` and `number` take them; a condition may follow.
    static let selection =
        "SELECT number, \(columns.joined(separator: ", ")), owner_checksum, checksum FROM job"

    /// What stands in `columns`.
    static func values(of record: JobRecord) throws -> [DatabaseValue] {
        let failure = record.failure
        let values: [(any DatabaseValueConvertible)?] = [
            text(record.id.description), text(record.owner), text(record.root), Data(try record.request.encode()),
            Data(try record.header.encode()), Int64(clamping: record.sector), record.submitted.milliseconds,
            Int64(record.state.rawValue), record.started?.milliseconds, record.lastChange.milliseconds,
            Int64(clamping: record.elapsed), Int64(failure?.reason.rawValue ?? 0), text(failure?.message ?? ""),
            Int64(failure?.detailCode ?? 0), Int64(clamping: record.totals.processed),
            Int64(clamping: record.totals.ranges), Int64(clamping: record.totals.dataBytes),
            Int64(clamping: record.totals.zeroBytes), Int64(bitPattern: record.totals.offsetSum),
            Int64(clamping: record.spoolLength), record.expires?.milliseconds,
        ]
        return values.map { $0?.databaseValue ?? .null }
    }

    /// A text as it comes back from SQLite, which ends it at the first NUL.
    private static func text(_ text: String) -> String {
        String(decoding: text.utf8.prefix { $0 != 0 }, as: UTF8.self)
    }

    /// The number of a row that has the columns of `selection`.
    static func number(_ row: Row) throws -> Int64 {
        guard let number = Int64.fromDatabaseValue(row[0]) else { throw JobStoreError(message: "a job has no number") }
        return number
    }

    /// Writes the checksums of a row down, beside what it has.
    static func seal(_ number: Int64, _ values: [DatabaseValue], in database: Database) throws {
        try database.execute(
            sql: "UPDATE job SET owner_checksum = ?, checksum = ? WHERE number = ?",
            arguments: [
                JobChecksum.ofOwner(values.prefix(ownerColumns.count)), JobChecksum.ofRow(number, values), number,
            ]
        )
    }

    /// The values of a row that has the columns of `selection`: those of `columns`, in their order.
    static func values(in row: Row) -> [DatabaseValue] {
        Array(row.databaseValues.dropFirst().prefix(columns.count))
    }

    /// The job of a row that has the columns of `selection`. A row that does not agree with its checksums, or does not read as a
    /// job, is damage.
    static func stored(_ row: Row) -> StoredJob {
        if let damage = damage(of: row) { return .damaged(damage) }
        guard let record = try? record(row) else { return .damaged(DamagedJob(id: id(row), owner: owner(row))) }
        return .sound(record)
    }

    /// What is left of the job of a row that does not agree with its checksums; nil where it does.
    static func damage(of row: Row) -> DamagedJob? {
        let values = values(in: row)
        let checksums = Array(row.databaseValues).suffix(2).map { Int64.fromDatabaseValue($0) }
        let ownerChecksum = JobChecksum.ofOwner(values.prefix(ownerColumns.count))
        if let number = try? number(row), checksums == [ownerChecksum, JobChecksum.ofRow(number, values)] {
            return nil
        }
        return DamagedJob(id: id(row), owner: checksums.first == ownerChecksum ? owner(row) : nil)
    }

    private static func id(_ row: Row) -> String { String.fromDatabaseValue(row[1]) ?? "" }

    private static func owner(_ row: Row) -> DamagedJob.Owner? {
        guard let name = String.fromDatabaseValue(row[2]), let root = String.fromDatabaseValue(row[3]) else {
            return nil
        }
        return DamagedJob.Owner(name: name, root: root)
    }

    /// Whether a row that agrees with its checksums is of a job that has ended.
    static func hasEnded(_ row: Row) -> Bool {
        let index = 1 + fixedColumns.count
        return JobState(rawValue: Int32(clamping: Int64.fromDatabaseValue(row[index]) ?? 0)).isEnd
    }

    /// The job of a row that agrees with its checksums. None is made up of one that does not read as a job.
    private static func record(_ row: Row) throws -> JobRecord {
        var values = Values(values: values(in: row))
        guard let id = GUID(try values.text()) else { throw JobStoreError(message: "a job has no id") }
        let owner = try values.text()
        let root = try values.text()
        let request = try GetVirtualDiskChangesRequest(decoding: try values.bytes())
        let header = try AnswerHeader(decoding: try values.bytes())
        let sector = try values.unsigned()
        let submitted = JobTime(milliseconds: try values.number())
        let state = JobState(rawValue: Int32(clamping: try values.number()))
        var record = JobRecord(
            id: id,
            owner: owner,
            root: root,
            request: request,
            header: header,
            sector: sector,
            submitted: submitted,
            state: state,
            started: try values.optionalNumber().map(JobTime.init),
            lastChange: JobTime(milliseconds: try values.number()),
            elapsed: try values.unsigned()
        )
        let failure = JobFailure(
            reason: Reason(rawValue: Int32(clamping: try values.number())),
            message: try values.text(),
            detailCode: UInt32(clamping: try values.number())
        )
        record.failure = failure.reason == .none ? nil : failure
        record.totals.processed = try values.unsigned()
        record.totals.ranges = try values.unsigned()
        record.totals.dataBytes = try values.unsigned()
        record.totals.zeroBytes = try values.unsigned()
        record.totals.bytes = record.totals.dataBytes &+ record.totals.zeroBytes
        record.totals.offsetSum = UInt64(bitPattern: try values.number())
        record.spoolLength = try values.unsigned()
        record.expires = try values.optionalNumber().map(JobTime.init)
        guard JobState.all.contains(state), state != .unknown, header.windowLength <= UInt64.max - header.windowOffset,
            record.totals.processed <= header.windowLength, header.unit.nonzeroBitCount == 1, sector > 0
        else { throw JobStoreError(message: "the job \(id) is damaged") }
        return record
    }

    /// The values of a row, one after the other.
    private struct Values {
        let values: [DatabaseValue]
        var index = 0

        mutating func next() throws -> DatabaseValue {
            guard index < values.count else { throw JobStoreError(message: "a job lacks columns") }
            defer { index += 1 }
            return values[index]
        }

        mutating func optionalNumber() throws -> Int64? { Int64.fromDatabaseValue(try next()) }

        mutating func number() throws -> Int64 {
            guard let number = try optionalNumber() else { throw JobStoreError(message: "a job lacks a number") }
            return number
        }

        mutating func unsigned() throws -> UInt64 {
            guard let number = UInt64(exactly: try number()) else {
                throw JobStoreError(message: "a job has a number below 0")
            }
            return number
        }

        mutating func text() throws -> String {
            guard let text = String.fromDatabaseValue(try next()) else {
                throw JobStoreError(message: "a job lacks a text")
            }
            return text
        }

        mutating func bytes() throws -> [UInt8] {
            guard let data = Data.fromDatabaseValue(try next()) else {
                throw JobStoreError(message: "a job lacks bytes")
            }
            return Array(data)
        }
    }
}

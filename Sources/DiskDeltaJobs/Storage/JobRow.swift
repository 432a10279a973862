internal import DiskDeltaProtocol
internal import DiskImages
internal import Foundation
internal import GRDB

/// How a job stands in its row.
enum JobRow {
    /// The columns that stay as they were when the job was started, and those that change.
    static let fixedColumns = ["id", "owner", "root", "request", "header", "sector", "submitted"]
    static let changingColumns = [
        "state", "started", "last_change", "elapsed", "reason", "message", "detail_code", "processed", "ranges",
        "data_bytes", "zero_bytes", "offset_sum", "spool_length", "expires",
    ]
    static let columns = fixedColumns + changingColumns

    static func fixedValues(of record: JobRecord) throws -> [(any DatabaseValueConvertible)?] {
        [
            record.id.description, record.owner, record.root, Data(try record.request.encode()),
            Data(try record.header.encode()), Int64(clamping: record.sector), record.submitted.milliseconds,
        ]
    }

    static func changingValues(of record: JobRecord) -> [(any DatabaseValueConvertible)?] {
        [
            Int64(record.state.rawValue), record.started?.milliseconds, record.lastChange.milliseconds,
            Int64(clamping: record.elapsed), Int64(record.failure?.reason.rawValue ?? 0), record.failure?.message ?? "",
            Int64(record.failure?.detailCode ?? 0), Int64(clamping: record.totals.processed),
            Int64(clamping: record.totals.ranges), Int64(clamping: record.totals.dataBytes),
            Int64(clamping: record.totals.zeroBytes), Int64(bitPattern: record.totals.offsetSum),
            Int64(clamping: record.spoolLength), record.expires?.milliseconds,
        ]
    }

    /// The job of a row that has `columns` in their order. A row that does not read as a job is damage, and none is made up.
    static func record(_ row: Row) throws -> JobRecord {
        var values = Values(row: row)
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
        let row: Row
        var index = 0

        mutating func next() throws -> DatabaseValue {
            guard index < row.count else { throw JobStoreError(message: "a job lacks columns") }
            defer { index += 1 }
            return row[index]
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

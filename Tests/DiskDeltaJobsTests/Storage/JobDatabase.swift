import Foundation
import GRDB

/// The rows of jobs, as somebody sees and changes them who knows nothing of what they mean.
struct JobDatabase {
    private let queue: DatabaseQueue

    init(_ path: String) throws {
        var configuration = Configuration()
        configuration.busyMode = .timeout(5)
        queue = try DatabaseQueue(path: path, configuration: configuration)
        try queue.writeWithoutTransaction { try $0.execute(sql: "PRAGMA synchronous = OFF") }
    }

    typealias Values = [String: DatabaseValue]

    /// All rows, in the order of their numbers.
    func rows() throws -> [Values] {
        try queue.read { database in
            try Row.fetchAll(database, sql: "SELECT * FROM job ORDER BY number").map { row in
                Dictionary(uniqueKeysWithValues: zip(row.columnNames, row.databaseValues))
            }
        }
    }

    func execute(_ sql: String, _ arguments: StatementArguments = []) throws {
        try queue.write { try $0.execute(sql: sql, arguments: arguments) }
    }

    /// All that was written, as one file.
    func copy(to path: String) throws {
        try queue.vacuum(into: path)
    }

    /// Sets a column of the row that has this number now. Text may be any bytes.
    func set(_ column: String, to value: DatabaseValue, asText: Bool = false, at number: DatabaseValue) throws {
        try execute(
            "UPDATE job SET \(column) = \(asText ? "CAST(? AS TEXT)" : "?") WHERE number = ?",
            [value, number]
        )
    }

    /// Puts a row back as it was.
    func restore(_ row: Values, at number: DatabaseValue? = nil) throws {
        let columns = row.keys.sorted()
        try execute(
            "UPDATE job SET \(columns.map { "\($0) = ?" }.joined(separator: ", ")) WHERE number = ?",
            StatementArguments(columns.map { row[$0] ?? .null }) + [number ?? row["number"] ?? .null]
        )
    }

    func insert(_ row: Values) throws {
        let columns = row.keys.sorted()
        try execute(
            "INSERT INTO job (\(columns.joined(separator: ", "))) VALUES (\(databaseQuestionMarks(count: columns.count)))",
            StatementArguments(columns.map { row[$0] ?? .null })
        )
    }

    /// A column with another value than it had.
    struct Damage: CustomStringConvertible {
        let column: String
        let what: String
        let value: DatabaseValue
        /// Whether the value is bytes that are to be text, good or bad.
        let isText: Bool

        var description: String { "\(column), \(what)" }
    }

    func apply(_ damage: Damage, to row: Values) throws {
        try set(damage.column, to: damage.value, asText: damage.isText, at: row["number"] ?? .null)
    }

    func restore(_ row: Values, after damage: Damage) throws {
        try restore(row, at: damage.column == "number" ? damage.value : nil)
    }

    /// Each bit of each column turned over, each length of a blob. What is NULL becomes 0.
    func damages(of row: Values) -> [Damage] {
        row.keys.sorted().flatMap { column in Self.damages(of: row[column] ?? .null, in: column) }
    }

    private static func damages(of value: DatabaseValue, in column: String) -> [Damage] {
        func damage(_ what: String, _ value: some DatabaseValueConvertible, isText: Bool = false) -> Damage {
            Damage(column: column, what: what, value: value.databaseValue, isText: isText)
        }
        func flips(_ bytes: [UInt8], isText: Bool) -> [Damage] {
            (0..<8 * bytes.count).map { bit in
                var bytes = bytes
                bytes[bit / 8] ^= 1 << UInt8(bit % 8)
                return damage("bit \(bit)", Data(bytes), isText: isText)
            }
        }
        switch value.storage {
        case .null: return [damage("not NULL", 0)]
        case .int64(let number):
            return (0..<64).map { damage("bit \($0)", number ^ Int64(bitPattern: 1 << UInt64($0))) }
        case .double: return []
        case .string(let text): return flips(Array(text.utf8), isText: true)
        case .blob(let data):
            return flips(Array(data), isText: false)
                + (0..<data.count).map { damage("cut at \($0)", Data(data.prefix($0))) }
                + [damage("one byte more", data + [0])]
        }
    }
}

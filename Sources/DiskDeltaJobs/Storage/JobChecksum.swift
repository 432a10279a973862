internal import DiskImages
internal import Foundation
internal import GRDB

/// The checksums of a job's row. SQLite has none of its own: a bit that the medium turned over would be told as good.
///
/// Each value counts with its type and its length, so that none passes for two, nor for one of another column. The id is
/// among them: a row, or a part of one, that stands at another job is damage. It is CRC-32C, as in the spools.
enum JobChecksum {
    /// Of whose the job is, `JobRow.ownerColumns`: with it the owner can be told that the job is damaged, and nobody else is.
    static func ofOwner(_ values: ArraySlice<DatabaseValue>) -> Int64 { checksum(values) }

    /// Of all columns but the checksums.
    ///
    /// - Parameter number: the row's own, which decides the order of jobs.
    static func ofRow(_ number: Int64, _ values: [DatabaseValue]) -> Int64 {
        checksum(CollectionOfOne(number.databaseValue) + values)
    }

    private static func checksum(_ values: some Sequence<DatabaseValue>) -> Int64 {
        var bytes: [UInt8] = []
        func add(_ type: UInt8, _ content: some Collection<UInt8>) {
            bytes.append(type)
            bytes += littleEndian(UInt64(content.count))
            bytes += content
        }
        for value in values {
            switch value.storage {
            case .null: add(0, [])
            case .int64(let number): add(1, littleEndian(UInt64(bitPattern: number)))
            case .double(let number): add(2, littleEndian(number.bitPattern))
            case .string(let text): add(3, text.utf8)
            case .blob(let data): add(4, data)
            }
        }
        var crc = CRC32C()
        crc.update(bytes.span.bytes)
        return Int64(crc.value)
    }

    private static func littleEndian(_ number: UInt64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: number >> UInt64(8 * $0)) }
    }
}

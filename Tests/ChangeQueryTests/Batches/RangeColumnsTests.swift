import Foundation
import Testing

@testable import ChangeQuery

/// The memory of a batch's columns.
@Suite("The columns of a batch")
struct RangeColumnsTests {
    /// What the process holds of the machine's memory, in bytes.
    private func residentBytes() throws -> Int {
        let fields = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(separator: " ")
        let pages = try #require(fields.count > 1 ? Int(fields[1]) : nil)
        return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
    }

    @Test("What many answers at a time touched goes back to the system, whatever else was allocated meanwhile")
    func memoryGoesBack() throws {
        // A heap learns from the first piece of this size that is freed to keep the next ones.
        touch(try full())
        var columns: [RangeColumns] = []
        var others: [[UInt8]] = []
        for _ in 0..<64 {
            columns.append(touch(try full()))
            others.append([UInt8](repeating: 1, count: 100_000))
        }
        let before = try residentBytes()
        columns = []
        let after = try residentBytes()
        #expect(before - after > 64 << 20, "of 128 MiB only \(before - after) bytes went back")
        #expect(others.count == 64)
    }

    @Test func memoryThatIsNotThereIsAnError() {
        // Half of what can be addressed at all.
        let error = #expect(throws: QueryError.self) { _ = try RangeColumns(room: 1 << 50) }
        #expect(error?.code == .resourceLimit)
    }

    private func full() throws -> RangeColumns { try RangeColumns(room: RangeColumns.capacity) }

    @discardableResult
    private func touch(_ columns: RangeColumns) -> RangeColumns {
        for index in 0..<RangeColumns.capacity { columns.write(gap: 1, length: 1, at: index) }
        columns.close(count: RangeColumns.capacity)
        return columns
    }
}

import ChangeQuery
import DiskImages
import Foundation

/// Opens a chain of 64 TiB and asks for the first 256 ranges from its middle on.
enum WindowInTheMiddle {
    static let wanted: UInt64 = 256

    static func run(disk: String) throws {
        let before = try bytesRead()
        let clock = ContinuousClock()
        let start = clock.now
        let chain = try DiskChain.open(disk, in: LocalFiles())
        let since = Baseline.all(of: chain).last?.id ?? ""
        let question = Question(.changes(since: since, target: nil), offset: Disks.hugeSize / 2)
        // The smallest message a client may ask for: the walk stops where it is full.
        let cursor = RangeCursor(try Plan(question, about: chain), maximumMessage: 16 * 1_024)
        while cursor.totals.ranges < wanted, try cursor.next() != nil {}
        let milliseconds = (clock.now - start) / .milliseconds(1)
        // layers, ranges, ms, bytes read from files
        print(chain.layers.count, cursor.totals.ranges, milliseconds, try bytesRead() - before)
    }

    /// What this process has read by system calls, as the kernel counts it.
    private static func bytesRead() throws -> Int {
        let text = try String(contentsOfFile: "/proc/self/io", encoding: .utf8)
        let line = text.split(separator: "\n").first { $0.hasPrefix("rchar:") }
        return line.flatMap { Int($0.dropFirst(6).trimmingCharacters(in: .whitespaces)) } ?? 0
    }
}

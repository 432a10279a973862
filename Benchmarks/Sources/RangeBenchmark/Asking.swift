import DiskDeltaClient
import Foundation

/// Asks for the changes of a disk once, over a new connection, and counts what comes.
enum Asking {
    static func run(address: String, disk: String, limitID: String) async throws {
        let clock = ContinuousClock()
        let (ranges, bytes, first, whole) = try await withDiskDeltaClient(to: address) { client in
            let start = clock.now
            var first: Duration?
            var ranges = 0
            var bytes: UInt64 = 0
            let stream = try await client.changes(of: disk, since: limitID)
            for try await batch in stream {
                if first == nil { first = clock.now - start }
                ranges += batch.count
                batch.forEach { bytes += $0.length }
            }
            return (ranges, bytes, first ?? .zero, clock.now - start)
        }
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        func milliseconds(_ duration: Duration) -> Double { duration / .milliseconds(1) }
        // ranges, bytes, ms to the first batch, ms to the end, peak memory in KiB
        print(ranges, bytes, milliseconds(first), milliseconds(whole), usage.ru_maxrss)
    }
}

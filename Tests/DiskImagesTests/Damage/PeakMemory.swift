import Foundation

/// How much memory this process takes at most while something runs, as Linux counts it.
///
/// Only tests that run alone can use it: what others take meanwhile would count as well.
enum PeakMemory {
    /// In bytes above what the process had before; nil where the system does not tell.
    ///
    /// Memory that was free inside the process before is not counted, and so less may be told than was taken.
    static func growth(_ body: () throws -> Void) rethrows -> UInt64? {
        // Writing 5 makes the peak what it is now.
        let canReset = (try? Data("5".utf8).write(to: URL(fileURLWithPath: "/proc/self/clear_refs"))) != nil
        let before = kibibytes("VmRSS")
        try body()
        guard canReset, let before, let peak = kibibytes("VmHWM") else { return nil }
        return (max(peak, before) - before) << 10
    }

    private static func kibibytes(_ field: String) -> UInt64? {
        guard let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8) else { return nil }
        let line = status.split(separator: "\n").first { $0.hasPrefix(field + ":") }
        return line.flatMap { UInt64($0.filter(\.isNumber)) }
    }
}

internal import CoreMetrics
internal import Foundation
internal import Metrics

/// What the process itself amounts to, under the names that Prometheus gives such figures everywhere.
final class ProcessMetrics: Sendable {
    private let residentMemory: Meter
    private let openDescriptors: Meter
    private let serving: Meter

    init(factory: any MetricsFactory, version: String) {
        residentMemory = Meter(label: "process_resident_memory_bytes", factory: factory)
        openDescriptors = Meter(label: "process_open_fds", factory: factory)
        serving = Meter(label: "diskdelta_serving", factory: factory)
        Meter(label: "diskdelta_build_info", dimensions: [("version", version)], factory: factory).set(1)
        Meter(label: "process_start_time_seconds", factory: factory).set(
            Self.startTime() ?? Date().timeIntervalSince1970
        )
    }

    func setServing(_ isServing: Bool) { serving.set(isServing ? 1 : 0) }

    /// Brings those figures up to date that nobody tells of.
    func refresh() {
        if let pages = Self.words(of: "/proc/self/statm").dropFirst().first.flatMap({ Int64($0) }) {
            residentMemory.set(pages.multipliedReportingOverflow(by: Int64(sysconf(Int32(_SC_PAGESIZE)))).partialValue)
        }
        if let names = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd") {
            // One of them is that of the folder itself.
            openDescriptors.set(max(names.count - 1, 0))
        }
    }

    /// When the process started, in seconds since 1970: the boot, and field 22 of `stat`, which counts ticks from there.
    private static func startTime() -> Double? {
        let status = text(of: "/proc/self/stat")
        // The second field is a name in parentheses, which may have anything in it.
        guard let name = status.lastIndex(of: ")") else { return nil }
        let fields = status[name...].split(separator: " ")
        let boot = text(of: "/proc/stat").split(separator: "\n").first { $0.hasPrefix("btime ") }
        guard fields.count > 20, let ticks = Double(fields[20]), let boot, let start = Double(boot.dropFirst(6)) else {
            return nil
        }
        return start + ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    private static func words(of path: String) -> [Substring] { text(of: path).split(separator: " ") }

    private static func text(of path: String) -> String {
        (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
    }
}

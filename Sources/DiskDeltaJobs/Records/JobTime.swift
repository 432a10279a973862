internal import Foundation

/// A moment, in milliseconds since 1970.
struct JobTime: Hashable, Comparable, Sendable, CustomStringConvertible {
    var milliseconds: Int64

    static func < (left: JobTime, right: JobTime) -> Bool { left.milliseconds < right.milliseconds }

    /// Later by `duration`; the last moment there is where it would be beyond.
    func advanced(by duration: Duration) -> JobTime {
        let added = Int64(exactly: (duration / .milliseconds(1)).rounded()) ?? .max
        let (sum, overflow) = milliseconds.addingReportingOverflow(added)
        return JobTime(milliseconds: overflow ? .max : sum)
    }

    /// In the form of RFC 3339, with milliseconds: `2027-06-30T00:00:00.000Z`.
    var description: String {
        Date(timeIntervalSince1970: Double(milliseconds) / 1_000)
            .formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
    }

    /// The time of the system.
    @Sendable static func now() -> JobTime {
        JobTime(milliseconds: Int64((Date().timeIntervalSince1970 * 1_000).rounded()))
    }
}

internal import FoundationEssentials

/// A moment in the form of RFC 3339, in UTC.
enum TimeText {
    /// - Parameter time: in seconds since 1970.
    static func seconds(_ time: Int64) -> String {
        Date(timeIntervalSince1970: Double(time)).ISO8601Format()
    }

    /// - Parameter time: in nanoseconds since 1970.
    static func nanoseconds(_ time: Int64) -> String {
        let (quotient, remainder) = time.quotientAndRemainder(dividingBy: 1_000_000_000)
        let fraction = remainder < 0 ? remainder + 1_000_000_000 : remainder
        let digits = String(fraction)
        let zeroes = String(repeating: "0", count: 9 - digits.utf8.count)
        return seconds(remainder < 0 ? quotient - 1 : quotient).dropLast() + ".\(zeroes)\(digits)Z"
    }
}

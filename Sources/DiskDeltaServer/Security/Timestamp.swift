internal import Foundation

/// A moment as RFC 3339 writes it: `2027-06-30T00:00:00Z`, `2027-06-30T02:00:00.5+02:00`.
enum Timestamp {
    /// Nil where the text is no such moment: RFC 3339's forms only, of which fractions of a second are left out.
    static func date(_ text: String) -> Date? {
        var rest = Substring(text)
        guard let year = number(&rest, 4), take(&rest, "-"), let month = number(&rest, 2), take(&rest, "-"),
            let day = number(&rest, 2), take(&rest, "T") || take(&rest, "t"), let hour = number(&rest, 2),
            take(&rest, ":"), let minute = number(&rest, 2), take(&rest, ":"), let second = number(&rest, 2)
        else { return nil }
        if take(&rest, ".") {
            let digits = rest.utf8.prefix { (0x30...0x39).contains($0) }.count
            guard digits > 0 else { return nil }
            rest = rest.dropFirst(digits)
        }
        guard let offset = offset(&rest), rest.isEmpty, hour <= 23, minute <= 59, second <= 60 else { return nil }
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = .gmt
        let parts = DateComponents(year: year, month: month, day: day)
        guard year > 0, parts.isValidDate(in: calendar), let start = calendar.date(from: parts) else { return nil }
        return start.addingTimeInterval(Double(hour * 3_600 + minute * 60 + second - offset))
    }

    /// The distance from UTC in seconds.
    private static func offset(_ rest: inout Substring) -> Int? {
        if take(&rest, "Z") || take(&rest, "z") { return 0 }
        let isEast = take(&rest, "+")
        guard isEast || take(&rest, "-"), let hours = number(&rest, 2), take(&rest, ":"),
            let minutes = number(&rest, 2), hours <= 23, minutes <= 59
        else { return nil }
        return (isEast ? 1 : -1) * (hours * 3_600 + minutes * 60)
    }

    /// Takes exactly `count` digits.
    private static func number(_ rest: inout Substring, _ count: Int) -> Int? {
        let digits = rest.utf8.prefix(count)
        guard digits.count == count, digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        rest = rest.dropFirst(count)
        return digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    }

    private static func take(_ rest: inout Substring, _ character: Character) -> Bool {
        guard rest.first == character else { return false }
        rest.removeFirst()
        return true
    }
}

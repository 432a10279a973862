/// A moment as a catalogue tells it.
///
/// The forms are those in which a Hyper-V host prints one: ISO 8601, `/Date(milliseconds)/` of old PowerShells, and the
/// date and time of WMI, `yyyymmddHHMMSS.mmmmmm+UUU` (DSP0004).
public struct CatalogueTime: Hashable, Sendable {
    /// Since 1970, in nanoseconds: of UTC, or of the unknown zone's own clock.
    let nanoseconds: Int64
    /// Whether the zone is known.
    let hasZone: Bool

    private static let second: Int64 = 1_000_000_000

    /// A moment in nanoseconds since 1970, UTC.
    public init(nanoseconds: Int64) {
        self.nanoseconds = nanoseconds
        hasZone = true
    }

    /// Nil where the text has none of the forms, or is not between the years 1700 and 2200.
    public init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count <= 64, let read = Self.milliseconds(bytes) ?? Self.dmtf(bytes) ?? Self.iso(bytes) else {
            return nil
        }
        self = read
    }

    private init?(_ clock: Clock, offset: Int64?) {
        guard let seconds = clock.seconds else { return nil }
        nanoseconds = (seconds - (offset ?? 0)) * Self.second + clock.nanoseconds
        hasZone = offset != nil
    }

    /// The earliest moment that this can be, in nanoseconds since 1970, UTC: no zone is more than 14 hours ahead.
    var earliest: Int64 { hasZone ? nanoseconds : nanoseconds - 14 * 3_600 * Self.second }

    /// In the form of RFC 3339, UTC; empty where the zone is not known.
    public var text: String { hasZone ? Clock(nanoseconds: nanoseconds).text + "Z" : "" }

    /// The form that is read again as the same moment: ISO 8601, without a zone where none is known.
    var catalogueText: String { Clock(nanoseconds: nanoseconds).text + (hasZone ? "Z" : "") }

    /// `/Date(1700773125000)/`, perhaps with a zone, which changes nothing.
    private static func milliseconds(_ bytes: [UInt8]) -> CatalogueTime? {
        let prefix = Array("/Date(".utf8)
        let suffix = Array(")/".utf8)
        guard bytes.starts(with: prefix), bytes.count > prefix.count + 2, Array(bytes.suffix(2)) == suffix else {
            return nil
        }
        var digits = bytes[prefix.count..<bytes.count - 2]
        if let sign = digits.dropFirst().firstIndex(where: { $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "-") }) {
            digits = digits[..<sign]
        }
        guard digits.count <= 14, let text = String(validating: digits, as: UTF8.self), let number = Int64(text),
            Clock.plausibleSeconds.contains(number / 1_000)
        else { return nil }
        return CatalogueTime(nanoseconds: number * 1_000_000)
    }

    /// `20231123205845.000000+060`: the offset from UTC in minutes, `***` where it is not known.
    private static func dmtf(_ bytes: [UInt8]) -> CatalogueTime? {
        guard bytes.count == 25, bytes[14] == UInt8(ascii: ".") else { return nil }
        var reader = DigitReader(bytes)
        guard var clock = reader.date(separator: nil), reader.time(separator: nil, into: &clock), reader.skip("."),
            let microseconds = reader.number(6), let sign = reader.sign()
        else { return nil }
        clock.nanoseconds = microseconds * 1_000
        if reader.rest == Array("***".utf8)[...] { return CatalogueTime(clock, offset: nil) }
        guard let minutes = reader.number(3), reader.rest.isEmpty else { return nil }
        return CatalogueTime(clock, offset: sign * minutes * 60)
    }

    /// `2023-11-23T20:58:45.1234567+01:00`, `…Z`, or without a zone.
    private static func iso(_ bytes: [UInt8]) -> CatalogueTime? {
        var reader = DigitReader(bytes)
        guard var clock = reader.date(separator: "-"), reader.skip("T") || reader.skip("t") || reader.skip(" "),
            reader.time(separator: ":", into: &clock)
        else { return nil }
        if reader.skip(".") {
            guard let fraction = reader.fraction() else { return nil }
            clock.nanoseconds = fraction
        }
        if reader.rest.isEmpty { return CatalogueTime(clock, offset: nil) }
        if reader.skip("Z") || reader.skip("z") {
            return reader.rest.isEmpty ? CatalogueTime(clock, offset: 0) : nil
        }
        guard let sign = reader.sign(), let hours = reader.number(2) else { return nil }
        _ = reader.skip(":")
        guard let minutes = reader.number(2), reader.rest.isEmpty else { return nil }
        return CatalogueTime(clock, offset: sign * (hours * 60 + minutes) * 60)
    }
}

/// A date and a time of day of the Gregorian calendar.
private struct Clock {
    /// From the year 1700 to the year 2200: what 64 bits of nanoseconds have room for.
    static let plausibleSeconds: ClosedRange<Int64> = -8_520_336_000...7_258_118_400

    var year: Int64
    var month: Int64
    var day: Int64
    var secondOfDay: Int64 = 0
    var nanoseconds: Int64 = 0

    init(year: Int64, month: Int64, day: Int64) {
        self.year = year
        self.month = month
        self.day = day
    }

    /// Days are counted from 1 March of the year 0, so that the leap day is the last of its year.
    init(nanoseconds: Int64) {
        let second: Int64 = 1_000_000_000
        let seconds = nanoseconds.quotientRoundedDown(by: second)
        self.nanoseconds = nanoseconds - seconds * second
        let days = seconds.quotientRoundedDown(by: 86_400)
        secondOfDay = seconds - days * 86_400
        let shifted = days + 719_468
        let era = shifted.quotientRoundedDown(by: 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    /// Since 1970; nil outside the plausible years.
    var seconds: Int64? {
        guard (1_700...2_200).contains(year), (1...12).contains(month), (1...31).contains(day) else { return nil }
        let shiftedYear = month <= 2 ? year - 1 : year
        let era = shiftedYear / 400
        let yearOfEra = shiftedYear - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let days = era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
        let seconds = days * 86_400 + secondOfDay
        return Self.plausibleSeconds.contains(seconds) ? seconds : nil
    }

    var text: String {
        func digits(_ number: Int64, _ count: Int) -> String {
            let text = String(number)
            return String(repeating: "0", count: max(0, count - text.count)) + text
        }
        let date = "\(digits(year, 4))-\(digits(month, 2))-\(digits(day, 2))"
        let minutes = secondOfDay / 60
        let time = "\(digits(minutes / 60, 2)):\(digits(minutes % 60, 2)):\(digits(secondOfDay % 60, 2))"
        guard nanoseconds != 0 else { return "\(date)T\(time)" }
        var fraction = digits(nanoseconds, 9)
        while fraction.hasSuffix("0") { fraction.removeLast() }
        return "\(date)T\(time).\(fraction)"
    }
}

extension Int64 {
    /// The quotient by a positive number, rounded towards minus infinity.
    fileprivate func quotientRoundedDown(by divisor: Int64) -> Int64 {
        self >= 0 ? self / divisor : (self + 1) / divisor - 1
    }
}

/// Takes a text apart from its start.
private struct DigitReader {
    private(set) var rest: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { rest = bytes[...] }

    mutating func skip(_ character: Unicode.Scalar) -> Bool {
        guard let first = rest.first, UInt32(first) == character.value else { return false }
        rest = rest.dropFirst()
        return true
    }

    mutating func sign() -> Int64? {
        if skip("+") { return 1 }
        return skip("-") ? -1 : nil
    }

    /// A number of exactly `count` digits.
    mutating func number(_ count: Int) -> Int64? {
        var number: Int64 = 0
        guard rest.count >= count else { return nil }
        for byte in rest.prefix(count) {
            guard let digit = Self.digit(byte) else { return nil }
            number = number * 10 + digit
        }
        rest = rest.dropFirst(count)
        return number
    }

    /// The digits behind a point, as nanoseconds; what is finer is cut off.
    mutating func fraction() -> Int64? {
        var number: Int64 = 0
        var count = 0
        while let byte = rest.first, let digit = Self.digit(byte) {
            if count < 9 { number = number * 10 + digit }
            count += 1
            rest = rest.dropFirst()
        }
        guard count > 0 else { return nil }
        for _ in min(count, 9)..<9 { number *= 10 }
        return number
    }

    mutating func date(separator: Unicode.Scalar?) -> Clock? {
        guard let year = number(4), separator.map({ skip($0) }) ?? true, let month = number(2),
            separator.map({ skip($0) }) ?? true, let day = number(2)
        else { return nil }
        return Clock(year: year, month: month, day: day)
    }

    mutating func time(separator: Unicode.Scalar?, into clock: inout Clock) -> Bool {
        guard let hour = number(2), separator.map({ skip($0) }) ?? true, let minute = number(2),
            separator.map({ skip($0) }) ?? true, let second = number(2), hour < 24, minute < 60, second < 61
        else { return false }
        clock.secondOfDay = hour * 3_600 + minute * 60 + second
        return true
    }

    private static func digit(_ byte: UInt8) -> Int64? {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) ? Int64(byte - UInt8(ascii: "0")) : nil
    }
}

internal import FoundationEssentials

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
    /// From the year 1700 to the year 2200: what 64 bits of nanoseconds have room for.
    private static let plausibleSeconds: ClosedRange<Int64> = -8_520_336_000...7_258_118_400

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

    /// - Parameters:
    ///   - clock: `2023-11-23T20:58:45`.
    ///   - offset: of its zone from UTC, in seconds; nil where that is not known.
    private init?(clock: String, nanoseconds fraction: Int64, offset: Int64?) {
        // The text that a date is printed as is the only one that it is read from: no 30 February, and no hour 24.
        guard let date = try? Date(clock + "Z", strategy: .iso8601), date.formatted(.iso8601) == clock + "Z",
            let seconds = Int64(exactly: date.timeIntervalSince1970), Self.plausibleSeconds.contains(seconds)
        else { return nil }
        nanoseconds = (seconds - (offset ?? 0)) * Self.second + fraction
        hasZone = offset != nil
    }

    /// The earliest moment that this can be, in nanoseconds since 1970, UTC: no zone is more than 14 hours ahead.
    var earliest: Int64 { hasZone ? nanoseconds : nanoseconds - 14 * 3_600 * Self.second }

    /// In the form of RFC 3339, UTC; empty where the zone is not known.
    public var text: String { hasZone ? clock + "Z" : "" }

    /// The form that is read again as the same moment: ISO 8601, without a zone where none is known.
    var catalogueText: String { clock + (hasZone ? "Z" : "") }

    /// `2023-11-23T20:58:45.25`. A `Date` is too coarse for the digits behind the point.
    private var clock: String {
        let fraction = (nanoseconds % Self.second + Self.second) % Self.second
        let seconds = (nanoseconds - fraction) / Self.second
        let text = Date(timeIntervalSince1970: Double(seconds)).formatted(.iso8601).dropLast()
        guard fraction != 0 else { return String(text) }
        var digits = String(Self.second + fraction).dropFirst()
        while digits.hasSuffix("0") { digits.removeLast() }
        return "\(text).\(digits)"
    }

    /// `/Date(1700773125000)/`, perhaps with a zone, which changes nothing.
    private static func milliseconds(_ bytes: [UInt8]) -> CatalogueTime? {
        guard bytes.starts(with: "/Date(".utf8), bytes.suffix(2).elementsEqual(")/".utf8) else { return nil }
        var digits = bytes.dropFirst(6).dropLast(2)
        if let sign = digits.dropFirst().firstIndex(where: { $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "-") }) {
            digits = digits[..<sign]
        }
        guard digits.count <= 14, let number = Int64(String(decoding: digits, as: UTF8.self)),
            plausibleSeconds.contains(number / 1_000)
        else { return nil }
        return CatalogueTime(nanoseconds: number * 1_000_000)
    }

    /// `20231123205845.000000+060`: the offset from UTC in minutes, `***` where it is not known.
    private static func dmtf(_ bytes: [UInt8]) -> CatalogueTime? {
        guard bytes.count == 25, bytes[14] == UInt8(ascii: "."), let fraction = nanoseconds(bytes[15..<21]) else {
            return nil
        }
        var clock: [UInt8] = []
        for (index, byte) in bytes.prefix(14).enumerated() {
            switch index {
            case 4, 6: clock.append(UInt8(ascii: "-"))
            case 8: clock.append(UInt8(ascii: "T"))
            case 10, 12: clock.append(UInt8(ascii: ":"))
            default: break
            }
            clock.append(byte)
        }
        var offset: Int64?
        if !bytes.suffix(3).elementsEqual("***".utf8) {
            guard let minutes = number(bytes.suffix(3)) else { return nil }
            offset = minutes * 60
        }
        guard let sign = sign(bytes[21]) else { return nil }
        return CatalogueTime(
            clock: String(decoding: clock, as: UTF8.self),
            nanoseconds: fraction,
            offset: offset.map { sign * $0 }
        )
    }

    /// `2023-11-23T20:58:45.1234567+01:00`, `…Z`, or without a zone.
    private static func iso(_ bytes: [UInt8]) -> CatalogueTime? {
        var clock = Array(bytes.prefix(19))
        guard clock.count == 19, "Tt ".utf8.contains(clock[10]) else { return nil }
        clock[10] = UInt8(ascii: "T")
        var rest = bytes.dropFirst(19)
        var fraction: Int64 = 0
        if rest.first == UInt8(ascii: ".") {
            let digits = rest.dropFirst().prefix(while: isDigit)
            guard let read = nanoseconds(digits) else { return nil }
            fraction = read
            rest = rest[digits.endIndex...]
        }
        var offset: Int64?
        if let first = rest.popFirst() {
            if let sign = sign(first) {
                let digits = rest.prefix(2) + rest.dropFirst(rest.count == 5 && rest.dropFirst(2).first == 0x3A ? 3 : 2)
                guard digits.count == 4, let number = number(digits) else { return nil }
                offset = sign * (number / 100 * 3_600 + number % 100 * 60)
            } else {
                guard first | 0x20 == UInt8(ascii: "z"), rest.isEmpty else { return nil }
                offset = 0
            }
        }
        return CatalogueTime(clock: String(decoding: clock, as: UTF8.self), nanoseconds: fraction, offset: offset)
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    private static func sign(_ byte: UInt8) -> Int64? {
        switch byte {
        case UInt8(ascii: "+"): 1
        case UInt8(ascii: "-"): -1
        default: nil
        }
    }

    /// The number of a few digits.
    private static func number(_ digits: some Collection<UInt8>) -> Int64? {
        digits.allSatisfy(isDigit) ? Int64(String(decoding: digits, as: UTF8.self)) : nil
    }

    /// The digits behind a point; what is finer is cut off.
    private static func nanoseconds(_ digits: some Collection<UInt8>) -> Int64? {
        guard !digits.isEmpty else { return nil }
        return number(Array(digits.prefix(9)) + [UInt8](repeating: UInt8(ascii: "0"), count: max(0, 9 - digits.count)))
    }
}

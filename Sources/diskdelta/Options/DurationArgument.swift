internal import ArgumentParser

/// A length of time on the command line: `500ms`, `30s`, `5m`, `2h`.
struct DurationArgument: ExpressibleByArgument, Hashable, Sendable {
    let duration: Duration

    init?(argument: String) {
        let units: [(suffix: String, milliseconds: Int64)] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)]
        guard let unit = units.first(where: { argument.hasSuffix($0.suffix) }) else { return nil }
        let digits = argument.dropLast(unit.suffix.count)
        guard !digits.isEmpty, digits.utf8.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }),
            let number = Int64(digits)
        else { return nil }
        let (milliseconds, overflow) = number.multipliedReportingOverflow(by: unit.milliseconds)
        // The wire tells a time in 31 bits of milliseconds: some 24 days.
        guard !overflow, milliseconds > 0, milliseconds < 1 << 31 else { return nil }
        duration = .milliseconds(milliseconds)
    }
}

/// A length of time that may be none at all: `0s`.
struct PatienceArgument: ExpressibleByArgument, Hashable, Sendable {
    let duration: Duration

    init?(argument: String) {
        if ["0ms", "0s", "0m", "0h"].contains(argument) {
            duration = .zero
        } else if let argument = DurationArgument(argument: argument) {
            duration = argument.duration
        } else {
            return nil
        }
    }
}

/// An input of the fuzzer, read as a list of things to do. What is missing at its end reads as zero.
struct Operations {
    private var rest: Slice<UnsafeRawBufferPointer>

    init(_ bytes: UnsafeRawBufferPointer) {
        rest = bytes[...]
    }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func byte() -> UInt8 {
        rest.popFirst() ?? 0
    }

    mutating func flag() -> Bool { byte() & 1 == 1 }

    /// Small numbers are short, and the numbers at which something changes are within reach.
    mutating func number() -> UInt64 {
        let first = byte()
        switch first {
        case 0..<200: return UInt64(first)
        case 200..<232: return UInt64(1) << UInt64(first - 200)
        case 232..<248: return UInt64(1) << UInt64(first - 232 + 16) &- 1
        case 248..<252: return UInt64(byte()) << 8 | UInt64(byte())
        case 252, 253: return UInt64(number32())
        case 254: return UInt64(number32()) << 32 | UInt64(number32())
        default: return .max &- UInt64(byte())
        }
    }

    mutating func number32() -> UInt32 {
        (0..<4).reduce(UInt32(0)) { value, _ in value << 8 | UInt32(byte()) }
    }

    mutating func number(upTo most: UInt64) -> UInt64 {
        let value = number()
        return most == .max ? value : value % (most + 1)
    }

    mutating func bytes(upTo most: Int) -> [UInt8] {
        let count = Int(number(upTo: UInt64(most)))
        let taken = Array(rest.prefix(count))
        rest = rest.dropFirst(count)
        return taken
    }

    /// All that is left.
    mutating func remainder() -> [UInt8] {
        defer { rest = rest.suffix(0) }
        return Array(rest)
    }
}

/// Ends the process where something does not hold: that is a finding.
func expect(_ condition: Bool, _ what: @autoclosure () -> String) {
    guard condition else { fatalError("Found \(what()).") }
}

internal import ArgumentParser

/// A size or an offset on the command line: bytes, or `K`, `M`, `G`, `T` of them (powers of 1024).
struct ByteCount: ExpressibleByArgument, Hashable, Sendable {
    let bytes: UInt64

    init?(argument: String) {
        var digits = argument[...]
        var shift: UInt64 = 0
        switch digits.last {
        case "K": shift = 10
        case "M": shift = 20
        case "G": shift = 30
        case "T": shift = 40
        default: break
        }
        if shift != 0 { digits.removeLast() }
        guard !digits.isEmpty, digits.utf8.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }),
            let number = UInt64(digits), number <= UInt64.max >> shift
        else { return nil }
        bytes = number << shift
    }
}

/// A globally unique identifier, in the two ways it is written: as text, and as VHDX stores it ([MS-DTYP] 2.3.4).
public struct GUID: Hashable, Sendable, CustomStringConvertible {
    /// The sixteen bytes in the order of the text, most significant first.
    public let high: UInt64
    public let low: UInt64

    /// The GUID that stands for "none".
    public static let zero = GUID(high: 0, low: 0)

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// A new random GUID (version 4).
    public static func random() -> GUID {
        var generator = SystemRandomNumberGenerator()
        return random(using: &generator)
    }

    /// A new random GUID (version 4) from a generator that a test can repeat.
    public static func random(using generator: inout some RandomNumberGenerator) -> GUID {
        let high: UInt64 = generator.next()
        let low: UInt64 = generator.next()
        return GUID(
            high: high & ~0xF000 | 0x4000,
            low: low & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
        )
    }

    /// The GUID of a text such as `{8b7ca206-4790-4b9a-b8fe-575f050f886e}`; braces are optional and the case does not
    /// matter. Nil where the text has another form.
    public init?(_ text: some StringProtocol) {
        var bytes = Array(text.utf8)
        if bytes.first == UInt8(ascii: "{") || bytes.last == UInt8(ascii: "}") {
            guard bytes.count == 38, bytes.first == UInt8(ascii: "{"), bytes.last == UInt8(ascii: "}") else {
                return nil
            }
            bytes = Array(bytes[1..<37])
        }
        guard bytes.count == 36 else { return nil }
        var words: (high: UInt64, low: UInt64) = (0, 0)
        for (index, byte) in bytes.enumerated() {
            if index == 8 || index == 13 || index == 18 || index == 23 {
                guard byte == UInt8(ascii: "-") else { return nil }
                continue
            }
            let digit: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
            default: return nil
            }
            if index < 18 {
                words.high = words.high << 4 | UInt64(digit)
            } else {
                words.low = words.low << 4 | UInt64(digit)
            }
        }
        self.init(high: words.high, low: words.low)
    }

    /// Lower case, in braces: the form that DiskDelta prints.
    public var description: String {
        func hex(_ value: UInt64, digits: Int) -> String {
            let text = String(value, radix: 16)
            return String(repeating: "0", count: max(0, digits - text.count)) + text
        }
        let parts = [
            hex(high >> 32, digits: 8), hex(high >> 16 & 0xFFFF, digits: 4), hex(high & 0xFFFF, digits: 4),
            hex(low >> 48, digits: 4), hex(low & 0xFFFF_FFFF_FFFF, digits: 12),
        ]
        return "{" + parts.joined(separator: "-") + "}"
    }
}

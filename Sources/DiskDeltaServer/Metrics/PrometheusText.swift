/// Writes the text format of Prometheus, version 0.0.4.
struct PrometheusText {
    static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    private(set) var text = ""

    /// What precedes the samples of a metric.
    mutating func head(_ name: String, kind: String, help: String) {
        if !help.isEmpty {
            text += "# HELP \(name) \(Self.escape(help, quote: false))\n"
        }
        text += "# TYPE \(name) \(kind)\n"
    }

    mutating func sample(_ name: String, _ labels: String, _ value: String) {
        text += labels.isEmpty ? "\(name) \(value)\n" : "\(name){\(labels)} \(value)\n"
    }

    /// `1.5`, `3`, `+Inf`
    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        if let whole = Int64(exactly: value) { return whole.description }
        return value.description
    }

    /// What stands between the braces of a sample, in the order given.
    static func labels(_ dimensions: [(String, String)]) -> String {
        dimensions.map { "\(name($0.0, colon: false))=\"\(escape($0.1, quote: true))\"" }.joined(separator: ",")
    }

    /// A name that the format allows: of letters, digits and `_`, and for a metric `:`, and not starting with a digit.
    static func name(_ text: String, colon: Bool = true) -> String {
        var name = ""
        for character in text.utf8 {
            switch character {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"):
                name.unicodeScalars.append(Unicode.Scalar(character))
            case UInt8(ascii: "0")...UInt8(ascii: "9") where !name.isEmpty:
                name.unicodeScalars.append(Unicode.Scalar(character))
            case UInt8(ascii: ":") where colon:
                name += ":"
            default:
                name += "_"
            }
        }
        return name.isEmpty ? "_" : name
    }

    private static func escape(_ text: String, quote: Bool) -> String {
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": escaped += "\\\\"
            case "\n": escaped += "\\n"
            case "\"" where quote: escaped += "\\\""
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }
}

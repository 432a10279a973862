internal import FoundationEssentials

/// A JSON document as a tree, with the names of properties in lower case.
enum JSONValue: Decodable {
    case text(String)
    case array([JSONValue])
    case object([String: JSONValue])
    /// Null, a number or a truth value: a catalogue takes its meaning from none but `true`.
    case null, number, truth(Bool)

    /// What is wrong with a document.
    struct Problem: Error {
        let message: String

        static let invalid = Problem(message: "The document is not valid JSON.")
    }

    /// - Parameter bytes: UTF-8.
    static func decode(_ bytes: [UInt8]) throws(Problem) -> JSONValue {
        let separatorCount = try JSONBounds.check(bytes)
        let value: JSONValue
        do {
            value = try JSONDecoder().decode(JSONValue.self, from: Data(bytes))
        } catch let problem as Problem {
            throw problem
        } catch {
            throw .invalid
        }
        // The decoder passes over a second property of the same name, and over a comma that ends a list.
        guard value.separatorCount == separatorCount else {
            throw Problem(message: "The document has a property twice in one object, or a comma too many.")
        }
        return value
    }

    /// How many commas and colons there are between the parts of the value.
    private var separatorCount: Int {
        switch self {
        case .array(let values): values.reduce(max(0, values.count - 1)) { $0 + $1.separatorCount }
        case .object(let properties):
            properties.values.reduce(max(0, 2 * properties.count - 1)) { $0 + $1.separatorCount }
        case .text, .null, .number, .truth: 0
        }
    }

    private struct Key: CodingKey {
        let stringValue: String
        let intValue: Int? = nil

        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    init(from decoder: any Decoder) throws {
        let single = try decoder.singleValueContainer()
        if single.decodeNil() {
            self = .null
        } else if let text = try? single.decode(String.self) {
            self = .text(text)
        } else if let truth = try? single.decode(Bool.self) {
            self = .truth(truth)
        } else if let object = try? decoder.container(keyedBy: Key.self) {
            var properties: [String: JSONValue] = [:]
            for key in object.allKeys {
                let value = try object.decodeNil(forKey: key) ? .null : object.decode(JSONValue.self, forKey: key)
                guard properties.updateValue(value, forKey: key.stringValue.lowercased()) == nil else {
                    throw Problem(message: "An object of the document has two properties named \(key.stringValue).")
                }
            }
            self = .object(properties)
        } else if var elements = try? decoder.unkeyedContainer() {
            var values: [JSONValue] = []
            while !elements.isAtEnd {
                values.append(try elements.decodeNil() ? .null : elements.decode(JSONValue.self))
            }
            self = .array(values)
        } else if (try? single.decode(Double.self)) != nil {
            self = .number
        } else {
            throw Problem.invalid
        }
    }
}

/// Bounds what a document may cost before anything is made of it.
enum JSONBounds {
    static let maximumDepth = 64
    static let maximumValueCount = 100_000

    /// Counts what opens, separates and closes values, outside of texts. Whether the document is JSON at all is not asked,
    /// but for control characters, of which none is allowed but white space.
    ///
    /// - Returns: the number of commas and colons.
    static func check(_ bytes: [UInt8]) throws(JSONValue.Problem) -> Int {
        var depth = 0
        var count = 0
        var separatorCount = 0
        var isInText = false
        var isEscaped = false
        for byte in bytes {
            guard byte >= 0x20 || !isInText && (byte == 0x09 || byte == 0x0A || byte == 0x0D) else {
                throw .invalid
            }
            if isInText {
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else if byte == UInt8(ascii: "\"") {
                    isInText = false
                }
                continue
            }
            switch byte {
            case UInt8(ascii: "\""): isInText = true
            case UInt8(ascii: "["), UInt8(ascii: "{"):
                depth += 1
                count += 1
            case UInt8(ascii: "]"), UInt8(ascii: "}"): depth -= 1
            case UInt8(ascii: ","), UInt8(ascii: ":"):
                count += 1
                separatorCount += 1
            default: continue
            }
            guard depth <= maximumDepth else {
                throw JSONValue.Problem(message: "The document is nested deeper than \(maximumDepth) levels.")
            }
            guard count <= maximumValueCount else {
                throw JSONValue.Problem(message: "The document has more than \(maximumValueCount) values.")
            }
        }
        return separatorCount
    }
}

internal import Foundation

/// One block of `Docs/protocol-vectors.txt`, whose head tells its form.
public struct WireVector: Sendable, CustomStringConvertible {
    public struct Line: Hashable, Sendable {
        public var word: String
        public var value: String

        public init(word: String, value: String) {
            self.word = word
            self.value = value
        }
    }

    public var name = ""
    public var kind = ""
    public var bytes: [UInt8] = []
    /// What a receiver must find, in order.
    public var expected: [Line] = []

    public var description: String { name }

    /// The name of the GOAWAY code that ends it, if it is an error.
    public var error: String? { self["error"] }

    public subscript(word: String) -> String? {
        expected.first { $0.word == word }?.value
    }

    public func all(_ word: String) -> [String] {
        expected.filter { $0.word == word }.map(\.value)
    }

    /// All blocks of a kind.
    public static func all(_ kind: String) -> [WireVector] {
        vectors.filter { $0.kind == kind }
    }

    private static let vectors: [WireVector] = {
        let file = URL(filePath: #filePath).appending(path: "../../../Docs/protocol-vectors.txt").standardized
        guard let text = try? String(contentsOf: file, encoding: .utf8) else { return [] }
        return text.split(separator: "\n\n").compactMap { block in
            var vector = WireVector()
            for line in block.split(separator: "\n") where !line.hasPrefix("#") {
                let parts = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
                let value = parts.count > 1 ? parts[1] : ""
                switch parts[0] {
                case "name": vector.name = value
                case "kind": vector.kind = value
                case "rule": break
                case "hex": vector.bytes += bytes(value)
                default: vector.expected.append(Line(word: parts[0], value: value))
                }
            }
            return vector.name.isEmpty ? nil : vector
        }
    }()

    /// The bytes of lower-case hexadecimal digits; "-" stands for none.
    public static func bytes(_ digits: String) -> [UInt8] {
        let characters = Array(digits.utf8)
        return stride(from: 0, to: characters.count - 1, by: 2).compactMap { index in
            UInt8(String(decoding: characters[index...index + 1], as: UTF8.self), radix: 16)
        }
    }

    /// The hexadecimal digits of bytes, as the file has them.
    public static func digits(_ bytes: some Sequence<UInt8>) -> String {
        let digits = bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        return digits.isEmpty ? "-" : digits
    }
}

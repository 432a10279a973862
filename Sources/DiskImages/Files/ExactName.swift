/// A name that is equal to another only if both have the same bytes.
///
/// Strings are equal if they show the same characters, however those are composed. To a file system, and to the formats of disks,
/// names of other bytes are other names: what is looked up, kept or compared by a name from outside is by one of these.
public struct ExactName: Hashable, Sendable, ExpressibleByStringLiteral {
    public let text: String

    public init(_ text: String) {
        self.text = text
    }

    public init(stringLiteral text: String) {
        self.init(text)
    }

    public static func == (one: ExactName, other: ExactName) -> Bool {
        one.text.utf8.elementsEqual(other.text.utf8)
    }

    public func hash(into hasher: inout Hasher) {
        for byte in text.utf8 { hasher.combine(byte) }
    }
}

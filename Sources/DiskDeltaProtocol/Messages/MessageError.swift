/// Why a message could not be read or written.
public struct MessageError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong.
    public struct Code: Hashable, Sendable {
        private let number: UInt8

        /// The bytes are not the encoding of a message.
        public static let malformed = Code(number: 0)

        /// The bytes would unfold to more memory than a message of their length may use, or are too many.
        public static let tooLarge = Code(number: 1)

        /// A string is not UTF-8.
        public static let invalidUTF8 = Code(number: 2)

        /// A string holds a NUL character. protobuf-c ends a string there, so the rest would be lost unnoticed.
        public static let nulInString = Code(number: 3)
    }

    public var code: Code

    /// The full name of the message, or of the field.
    public var subject: String

    public init(_ code: Code, in subject: String) {
        self.code = code
        self.subject = subject
    }

    public var description: String {
        switch code {
        case .malformed: "the bytes are not a \(subject)"
        case .tooLarge: "the bytes of a \(subject) need more memory than is allowed"
        case .invalidUTF8: "\(subject) is not valid UTF-8"
        default: "\(subject) holds a NUL character"
        }
    }
}

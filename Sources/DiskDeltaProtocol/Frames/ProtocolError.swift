/// A breach of the protocol by the peer. It ends the connection.
public struct ProtocolError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What kind of breach it is.
    public struct Code: Hashable, Sendable {
        /// The code of the GOAWAY that tells the peer; nil where the peer does not speak this protocol and is told
        /// nothing (P-6).
        public let goAwayCode: GoAwayCode?

        private init(_ goAwayCode: GoAwayCode?) {
            self.goAwayCode = goAwayCode
        }

        /// The peer speaks something else.
        public static let foreignPeer = Code(nil)
        /// A rule was broken for which there is no closer code.
        public static let violation = Code(.protocolError)
        /// A frame is longer than its receiver allows.
        public static let frameTooLarge = Code(.frameTooLarge)
        /// A frame has a type that is unknown and may not be ignored.
        public static let unknownFrame = Code(.unknownFrame)
        /// The SETTINGS of the peer are not allowed.
        public static let settings = Code(.settingsError)
        /// A frame names a stream that it cannot be about.
        public static let stream = Code(.streamError)
        /// More was sent than there was credit for, or a grant is not allowed.
        public static let flowControl = Code(.flowControlError)
        /// The peer speaks another major version.
        public static let unsupportedVersion = Code(.unsupportedVersion)
        /// Preface and SETTINGS did not arrive in time.
        public static let handshakeTimeout = Code(.handshakeTimeout)
        /// The peer asks for more work than is reasonable.
        public static let excessiveLoad = Code(.excessiveLoad)
    }

    public var code: Code

    /// A sentence for a person. It names the rule of `Docs/Protocol.md`.
    public var message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { message }
}

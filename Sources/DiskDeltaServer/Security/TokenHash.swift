internal import COpenSSL

/// The SHA-256 of a token: what a file of tokens has instead of the tokens themselves.
struct TokenHash: Sendable {
    private let bytes: [UInt8]

    /// The hash of a token; nil if OpenSSL cannot make it, as when it is set up without the algorithm.
    init?(of token: [UInt8]) {
        var bytes = [UInt8](repeating: 0, count: Int(SHA256_DIGEST_LENGTH))
        guard SHA256(token, token.count, &bytes) != nil else { return nil }
        self.bytes = bytes
    }

    /// Reads `sha256:` and 64 hexadecimal digits; nil if the text has another form.
    init?(text: String) {
        let prefix = "sha256:"
        let digits = Array(text.utf8.dropFirst(prefix.utf8.count))
        guard text.hasPrefix(prefix), digits.count == 2 * Int(SHA256_DIGEST_LENGTH) else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = Self.digit(digits[index]), let low = Self.digit(digits[index + 1]) else { return nil }
            bytes.append(high << 4 | low)
        }
        self.bytes = bytes
    }

    /// Whether two hashes are the same, in a time that tells nothing about where they differ.
    func isEqual(to other: TokenHash) -> Bool {
        CRYPTO_memcmp(bytes, other.bytes, Int(SHA256_DIGEST_LENGTH)) == 0
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

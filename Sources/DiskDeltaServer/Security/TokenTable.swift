internal import Foundation

/// The bearer tokens that prove who somebody is, as a file lists them: a name and the hash of a token on each line, and
/// possibly when it expires. The tokens themselves are nowhere.
///
///     # name       hash of the token                                                        expires
///     backup-east  sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
///     auditor      sha256:fcde2b2edba56bf408601fb721fe9b5c338d10ee429ea04fae5511b68fbf8fb9  2027-06-30T00:00:00Z
///
/// A name may have several tokens, so that the next can be handed out before the last expires.
struct TokenTable: Sendable {
    /// What somebody proved by a token.
    enum Finding: Hashable, Sendable {
        /// No token is like it.
        case unknown
        /// It was that of this name, and is so no more.
        case expired(String)
        case known(String)
    }

    private struct Entry {
        let name: String
        let hash: TokenHash
        /// The first moment at which it proves nothing any more.
        let expiry: Date?
    }

    static let maximumByteCount = 1 << 20

    private var entries: [Entry] = []

    /// How many tokens there are.
    var count: Int { entries.count }

    /// Reads a table.
    ///
    /// - Parameter path: what the text is called where something is wrong with it.
    init(_ text: String, named path: String) throws(SettingsError) {
        for (index, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
            let words = line.split(whereSeparator: \.isWhitespace).map(String.init)
            guard let first = words.first, !first.hasPrefix("#") else { continue }
            let place = "\(path), line \(index + 1)"
            guard (2...3).contains(words.count) else {
                throw SettingsError(message: "\(place): a token has the form NAME sha256:HASH [EXPIRY]")
            }
            guard Self.isName(first) else {
                throw SettingsError(
                    message: "\(place): a name has 1 to 128 letters, digits and . _ @ / + -, and \"\(first)\" is none"
                )
            }
            guard let hash = TokenHash(text: words[1]) else {
                throw SettingsError(message: "\(place): the hash is not sha256: and 64 hexadecimal digits")
            }
            var expiry: Date?
            if words.count == 3 {
                guard let date = Timestamp.date(words[2]) else {
                    throw SettingsError(message: "\(place): \"\(words[2])\" is not a time like 2027-06-30T00:00:00Z")
                }
                expiry = date
            }
            entries.append(Entry(name: first, hash: hash, expiry: expiry))
        }
    }

    /// Whose token this is. It takes as long whether, and wherever, it is found.
    func find(_ token: some Sequence<UInt8>, at now: Date) -> Finding {
        guard let hash = TokenHash(of: Array(token)) else { return .unknown }
        var finding = Finding.unknown
        for entry in entries {
            guard hash.isEqual(to: entry.hash) else { continue }
            let isValid = entry.expiry.map { now < $0 } ?? true
            if case .known = finding { continue }
            finding = isValid ? .known(entry.name) : .expired(entry.name)
        }
        return finding
    }

    /// Names are such that they cannot be taken for what else proves who somebody is: no colon, as in a URI or in `uid:0`.
    private static func isName(_ text: String) -> Bool {
        (1...128).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                    UInt8(ascii: "A")...UInt8(ascii: "Z"):
                    true
                default: "._@/+-".utf8.contains(byte)
                }
            }
    }
}

internal import DiskDeltaProtocol
internal import Glibc

/// The Swift server and the Swift client as programs that `Tests/Conformance/run` tests: `README.md` beside it tells the
/// contract.
///
///     conformance-subject server [KEY=VALUE …]
///     conformance-subject client [KEY=VALUE …]
@main
struct Subject {
    static func main() async {
        let options = Options(CommandLine.arguments.dropFirst(2))
        switch CommandLine.arguments.dropFirst().first {
        case "server": await ServerSubject.run(options)
        case "client": await ClientSubject.run(options)
        default:
            say("conformance-subject server|client [KEY=VALUE …]")
            exit(2)
        }
    }
}

/// What a script sets: numbers by name.
struct Options {
    private let values: [String: String]

    init(_ words: some Sequence<String>) {
        values = Dictionary(
            words.compactMap { word in
                word.firstIndex(of: "=").map { (String(word[..<$0]), String(word[word.index(after: $0)...])) }
            },
            uniquingKeysWith: { _, last in last }
        )
    }

    subscript(_ key: String) -> String? { values[key] }

    func number(_ key: String) -> UInt32? { values[key].flatMap { UInt32($0) } }

    func bytes(_ key: String) -> UInt64? { values[key].flatMap { UInt64($0) } }

    /// A time given in milliseconds.
    func time(_ key: String) -> Duration? { number(key).map { .milliseconds(Int64($0)) } }
}

/// Prints a line at once, from whatever thread.
func say(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    _ = write(STDOUT_FILENO, bytes, bytes.count)
}

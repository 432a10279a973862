import Foundation
import Logging
import Synchronization
import Testing

@testable import DiskDeltaServer

@Suite("A line of the log for each event")
struct LineLogHandlerTests {
    private final class Lines: Sendable {
        let text = Mutex("")
    }

    private let lines = Lines()

    private func logger(_ format: LogFormat) -> Logger {
        Logger(label: "test") { [lines] _ in
            LineLogHandler(
                format: format,
                now: { Date(timeIntervalSince1970: 1_700_000_000.125) },
                write: { line in lines.text.withLock { $0 += line } }
            )
        }
    }

    private var text: String { lines.text.withLock { $0 } }

    @Test func plain() {
        var logger = logger(.text)
        logger[metadataKey: "peer"] = "127.0.0.1:1"
        logger.notice("the connection ends", metadata: ["bytes": "\(7)", "a": ["x", "y"]])
        logger.debug("not told")
        #expect(
            text
                == #"2023-11-14T22:13:20.125Z notice "the connection ends" a="[\"x\", \"y\"]" bytes="7" peer="127.0.0.1:1""#
                + "\n"
        )
    }

    @Test func json() throws {
        logger(.json).warning("so \"it\" is", metadata: ["d": ["k": "v"], "l": ["x", "y"], "n": "\(7)"])
        #expect(
            text
                == #"{"time":"2023-11-14T22:13:20.125Z","level":"warning","message":"so \"it\" is","#
                + #""fields":{"d":{"k":"v"},"l":["x","y"],"n":"7"}}"# + "\n"
        )
    }

    /// What a peer may try: new lines of every kind, quotes, escape sequences, text that runs backwards, very long text.
    private static let forgeries: [String] = [
        "a\n2023-11-14T22:13:20.125Z info \"forged\"", "a\r\nb", "a\u{85}b", "a\u{2028}b\u{2029}c", "\" level=\"info",
        "\\\" x=\"y", "\u{1B}[2J\u{7}", "abc\u{202E}fdp.exe", "\u{E0041}\u{FEFF}", "\0",
        String(repeating: "ä", count: 9_999),
    ]

    @Test("Nothing that a peer says looks like a line or a field of its own", arguments: LineLogHandlerTests.forgeries)
    func forged(_ forgery: String) throws {
        for format in LogFormat.allCases {
            logger(format).notice("he said: \(forgery)", metadata: ["path": "\(forgery)", "z": "last"])
        }
        let written = text.split(separator: "\n", omittingEmptySubsequences: false)
        #expect(written.count == 3 && written[2] == "")
        #expect(
            text.unicodeScalars.allSatisfy { scalar in
                scalar == "\n"
                    || ![.control, .format, .lineSeparator, .paragraphSeparator]
                        .contains(scalar.properties.generalCategory)
            }
        )
        #expect(text.utf8.count < 20_000)
        // The quotes of the text form are balanced as JSON's are: three strings, and between them what this side wrote.
        let plain = try #require(written.first)
        #expect(plain.firstMatch(of: /^\S+ notice "(?:[^"\\]|\\.)*" path="(?:[^"\\]|\\.)*" z="last"$/) != nil)
        let object = try #require(
            try JSONSerialization.jsonObject(with: Data(written[1].utf8)) as? [String: Any]
        )
        let fields = try #require(object["fields"] as? [String: String])
        #expect(Set(object.keys) == ["time", "level", "message", "fields"])
        if forgery.utf8.count < LogText.maximumValue { #expect(fields["path"] == forgery) }
    }

    @Test func keys() {
        logger(.text).info("m", metadata: ["a b": "1", "": "2", "a=\"": "3"])
        #expect(text.hasSuffix(#""m" ""="2" "a b"="1" "a=\""="3""# + "\n"))
    }
}

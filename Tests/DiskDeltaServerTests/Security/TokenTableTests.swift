import Foundation
import TestSupport
import Testing

@testable import DiskDeltaServer

@Suite("The token file")
struct TokenTableTests {
    private let now = Date(timeIntervalSince1970: 1_800_000_000)

    private func find(_ token: String, in text: String) throws -> TokenTable.Finding {
        try TokenTable(text, named: "tokens").find(Array(token.utf8), at: now)
    }

    @Test("The hash that sha256sum prints is that of the token")
    func knownHash() throws {
        // printf foo | sha256sum
        let text = "backup sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae\n"
        #expect(try find("foo", in: text) == .known("backup"))
        #expect(try find("foo", in: text.uppercased().replacing("SHA256", with: "sha256")) == .known("BACKUP"))
        #expect(try find("foO", in: text) == .unknown)
        #expect(try find("", in: text) == .unknown)
    }

    @Test("Every line counts, comments and empty lines say nothing")
    func lines() throws {
        let text = """
            # who may call

            east  \(try tokenHash("a"))
            \twest\t\(try tokenHash("b"))\t2027-01-16T00:00:00Z\r
            #old  \(try tokenHash("c"))
            """
        #expect(try TokenTable(text, named: "x").count == 2)
        #expect(try find("a", in: text) == .known("east"))
        #expect(try find("b", in: text) == .known("west"))
        #expect(try find("c", in: text) == .unknown)
    }

    @Test("A token proves something until the moment of its expiry, and no longer")
    func expiry() throws {
        func text(_ time: String) throws -> String { "a \(try tokenHash("t")) \(time)" }
        // 1,800,000,000 is 2027-01-15T08:00:00Z.
        #expect(try find("t", in: try text("2027-01-15T08:00:01Z")) == .known("a"))
        #expect(try find("t", in: try text("2027-01-15T08:00:00Z")) == .expired("a"))
        #expect(try find("t", in: try text("2027-01-15T09:00:00+01:00")) == .expired("a"))
        #expect(try find("t", in: try text("2027-01-15T07:30:00-01:00")) == .known("a"))
        // The same token with a later expiry on another line counts, in either order.
        let both = [try text("2026-01-01T00:00:00Z"), try text("2028-01-01T00:00:00Z")]
        #expect(try find("t", in: both.joined(separator: "\n")) == .known("a"))
        #expect(try find("t", in: both.reversed().joined(separator: "\n")) == .known("a"))
    }

    @Test(
        "What is wrong is told with its line",
        arguments: [
            ("a", "line 1: a token has the form"),
            ("\na sha256:00", "line 2: the hash is not sha256:"),
            ("a md5:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae", "the hash is not sha256:"),
            ("a sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ag", "the hash is not"),
            ("uid:0 sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae", "and \"uid:0\" is none"),
            ("* sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae", "and \"*\" is none"),
            (
                "a sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae soon",
                "\"soon\" is not a time"
            ),
            (
                "a sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae 2027-01-01T00:00:00Z x",
                "form"
            ),
        ]
    )
    func mistakes(text: String, expected: String) throws {
        let error = try #require(throws: SettingsError.self) { try TokenTable(text, named: "tokens") }
        #expect(error.message.contains(expected), "\(error.message)")
        #expect(error.message.hasPrefix("tokens, line "))
    }

    @Test(
        "Moments as RFC 3339 writes them",
        arguments: [
            ("1970-01-01T00:00:00Z", 0.0), ("2000-02-29T12:30:15Z", 951_827_415),
            ("2027-01-15t08:00:00z", 1_800_000_000),
            ("2027-01-15T08:00:00.999Z", 1_800_000_000), ("2027-01-15T13:30:00+05:30", 1_800_000_000),
            ("2016-12-31T23:59:60Z", 1_483_228_800),
        ]
    )
    func timestamps(text: String, seconds: Double) {
        #expect(Timestamp.date(text)?.timeIntervalSince1970 == seconds)
    }

    @Test(
        "What is no moment",
        arguments: [
            "", "2027-01-15", "2027-01-15T08:00:00", "2027-01-15 08:00:00Z", "2027-1-15T08:00:00Z",
            "2027-02-29T00:00:00Z",
            "2027-13-01T00:00:00Z", "2027-00-01T00:00:00Z", "2027-01-15T24:00:00Z", "2027-01-15T08:60:00Z",
            "2027-01-15T08:00:61Z", "2027-01-15T08:00:00.Z", "2027-01-15T08:00:00+0100", "2027-01-15T08:00:00ZZ",
            "+027-01-15T08:00:00Z", "２027-01-15T08:00:00Z", "0000-01-01T00:00:00Z", "2027-01-15T08:00:00+24:00",
        ]
    )
    func noTimestamps(text: String) {
        #expect(Timestamp.date(text) == nil)
    }
}

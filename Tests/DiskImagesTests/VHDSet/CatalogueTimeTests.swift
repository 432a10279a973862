import Foundation
import Testing

@testable import DiskImages

@Suite("Times of a catalogue")
struct CatalogueTimeTests {
    @Test(
        "The forms that hosts print",
        arguments: [
            ("2023-11-23T20:58:45Z", "2023-11-23T20:58:45Z"),
            ("2023-11-23T20:58:45.1234567+01:00", "2023-11-23T19:58:45.1234567Z"),
            ("2023-11-23t20:58:45-0230", "2023-11-23T23:28:45Z"),
            ("2023-11-23 20:58:45.5z", "2023-11-23T20:58:45.5Z"),
            ("2023-11-23T20:58:45", ""),
            ("/Date(1700773125000)/", "2023-11-23T20:58:45Z"),
            ("/Date(1700773125123+0100)/", "2023-11-23T20:58:45.123Z"),
            ("/Date(-1500)/", "1969-12-31T23:59:58.5Z"),
            ("20231123205845.000000+000", "2023-11-23T20:58:45Z"),
            ("20231123205845.250000+060", "2023-11-23T19:58:45.25Z"),
            ("20240229000000.000000-480", "2024-02-29T08:00:00Z"),
            ("20231123205845.000000+***", ""),
        ]
    )
    func forms(text: String, printed: String) throws {
        let time = try #require(CatalogueTime(text))
        #expect(time.text == printed)
    }

    @Test(
        "What is no time",
        arguments: [
            "", "yesterday", "2023-11-23", "2023-11-23T20:58", "2023-13-23T20:58:45Z", "2023-02-29T20:58:45Z",
            "2023-11-23T24:00:00Z",
            "2023-11-23T20:58:45+01", "2023-11-23T20:58:45.Z", "2023-11-23T20:58:45Zz", "/Date()/", "/Date(x)/",
            "/Date(99999999999999)/", "/Date(1700773125000)", "20231123205845.000000", "20231123205845.000000+0000",
            "99991123205845.000000+000", "2023112320584x.000000+000", "0001-01-01T00:00:00Z",
            "/Date(99999999999999999999999999)/", "/Date(--5)/", "11/23/2023 8:58:45 PM",
        ]
    )
    func refused(text: String) {
        #expect(CatalogueTime(text) == nil)
    }

    /// The calendar against Foundation's.
    @Test func everyDayHasItsDate() throws {
        let formatter = ISO8601DateFormatter()
        for day in stride(from: -98_000, to: 84_000, by: 13) {
            let seconds = Int64(day) * 86_400 + 3_723
            let text = formatter.string(from: Date(timeIntervalSince1970: Double(seconds)))
            let time = CatalogueTime(nanoseconds: seconds * 1_000_000_000)
            #expect(time.text == text)
            #expect(CatalogueTime(text) == time)
        }
    }

    @Test func withoutAZoneTheEarliestMomentCounts() throws {
        let zoned = try #require(CatalogueTime("2023-11-23T20:58:45Z"))
        let bare = try #require(CatalogueTime("2023-11-23T20:58:45"))
        #expect(zoned.earliest == 1_700_773_125_000_000_000)
        #expect(zoned.earliest - bare.earliest == 14 * 3_600_000_000_000)
    }
}

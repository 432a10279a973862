import Testing

@testable import DiskImages

@Suite("Names by their bytes")
struct ExactNameTests {
    // The same characters, composed and not.
    private let one = "caf\u{E9}"
    private let other = "cafe\u{301}"

    @Test("Names are equal if their bytes are, and not if they only look alike")
    func names() {
        #expect(one == other)
        #expect(ExactName(one) != ExactName(other))
        #expect(ExactName(one) == ExactName(String(decoding: Array(one.utf8), as: UTF8.self)))
        #expect(Set([ExactName(one), ExactName(other), ExactName(one)]).count == 2)
    }

    @Test("Points and paths are told apart so")
    func whatHasNames() throws {
        func point(_ name: String) -> RecordedPoint {
            RecordedPoint(kind: .bitmap, id: name, name: name, granularity: 65_536)
        }
        #expect(point(one) != point(other))
        let path = try #require(CataloguePath(one + ".vhdx"))
        let otherPath = try #require(CataloguePath(other + ".vhdx"))
        #expect(path != otherPath)
        #expect(!CataloguePathSet([path]).contains(otherPath))
    }
}

import DiskDeltaProtocol
import Testing

/// What the vectors cannot show: the caps that a writer keeps, and cut bytes.
struct PayloadTests {
    @Test func aLongTextIsCutBetweenCharacters() throws {
        let text = String(repeating: "ü", count: 3_000)
        let end = EndPayload(text: "x" + text)
        #expect(end.text.utf8.count == 4_095)
        #expect(end.text == "x" + String(repeating: "ü", count: 2_047))
        var bytes: [UInt8] = []
        end.encode(into: &bytes)
        #expect(try EndPayload(decoding: bytes.span.bytes) == end)
        #expect(GoAwayPayload(code: .protocolError, text: text).text.utf8.count == 4_096)
    }

    @Test func detailsThatDoNotFitAreLeftOut() {
        var trailers = Metadata()
        let results = [trailers.append("k", [UInt8](repeating: 0, count: 8_188)), trailers.append("k", [])]
        #expect(results == [true, false])
        let text = String(repeating: "a", count: 4_096)
        #expect(
            EndPayload(text: text, trailers: trailers, details: [UInt8](repeating: 1, count: 4_092)).byteCount == 16_384
        )
        #expect(EndPayload(text: text, trailers: trailers, details: [UInt8](repeating: 1, count: 4_093)).details == [])
    }

    @Test func metadataRefusesWhatCannotTravel() {
        var metadata = Metadata()
        let keys = ["", "Key", String(repeating: "k", count: 256), String(repeating: "k", count: 255)]
        let results = keys.map { metadata.append($0, [1]) }
        #expect(results == [false, false, false, true])
        #expect(metadata.byteCount == 259)
        #expect(metadata[String(repeating: "k", count: 255)] == [1])
        #expect(metadata["k"] == nil)
    }

    @Test func everyCutPayloadThrows() throws {
        var metadata = Metadata()
        let isAppended = metadata.append("trace", [1, 2, 3])
        #expect(isAppended)
        let open = try #require(OpenPayload(path: "a.B/C", metadata: metadata))
        var bytes: [UInt8] = []
        open.encode(into: &bytes)
        for count in 0..<bytes.count {
            let cut = Array(bytes.prefix(count))
            #expect(throws: ProtocolError.self) { try OpenPayload(decoding: cut.span.bytes) }
        }
        bytes = []
        EndPayload(text: "why", trailers: metadata).encode(into: &bytes)
        for count in 0..<bytes.count {
            let cut = Array(bytes.prefix(count))
            #expect(throws: ProtocolError.self) { try EndPayload(decoding: cut.span.bytes) }
        }
    }

    @Test func aPathMustNameAServiceAndAMethod() {
        #expect(OpenPayload(path: "") == nil)
        #expect(OpenPayload(path: "a") == nil)
        #expect(OpenPayload(path: "a/b/c") == nil)
        #expect(OpenPayload(path: "a/b") != nil)
    }
}

import ByteReading
import DiskDeltaProtocol
import TestSupport
import Testing

@testable import DiskDeltaClient

/// The answers of `Docs/protocol-vectors.txt` to questions about ranges, which the C client's tests run as well.
@Suite("The vectors of range answers")
struct RangeVectorTests {
    @Test("There are vectors to run")
    func vectorsAreThere() {
        #expect(WireVector.all("ranges").count >= 60)
    }

    @Test("An answer is handed out, refused or found broken as the vector says", arguments: WireVector.all("ranges"))
    func vector(_ vector: WireVector) throws {
        let asked = try #require(vector["asked"]).split(separator: " ")
        var check = AnswerCheck(
            AnswerExpectation(
                disk: "disks/a.avhdx",
                offset: try #require(UInt64(asked[0])),
                length: asked[1] == "-" ? nil : UInt64(asked[1])
            )
        )
        var ranges: [String] = []
        let result = outcome(of: vector, &check, &ranges)
        #expect(result == vector["result"])
        if result != "invalid" { #expect(ranges == vector.all("range")) }
    }

    private func outcome(of vector: WireVector, _ check: inout AnswerCheck, _ ranges: inout [String]) -> String {
        do {
            for digits in vector.all("message") {
                let message = try RangeAnswer(decoding: WireVector.bytes(digits))
                guard let batch = try check.receive(message) else { continue }
                ranges += batch.ranges.map { "\($0.offset) \($0.length) \($0.kind.rawValue)" }
            }
            guard let end = vector["end"]?.split(separator: " ") else { return "incomplete" }
            let payload = try EndPayload(decoding: WireVector.bytes(String(end[1])).span.bytes)
            let details = try StatusDetails(decoding: payload.details)
            guard end[0] == "0" else { return "refused" }
            try check.finish(details)
            return "complete"
        } catch {
            return "invalid"
        }
    }
}

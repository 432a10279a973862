import DiskDeltaProtocol
import Testing

/// What is written here is, byte by byte, what Google's encoder writes.
@Suite(.enabled(if: Protoc.isPresent, Protoc.absence))
struct ProtocTests {
    private static let seeds: [UInt64] = Array(1...8)

    @Test(arguments: seeds)
    func answers(seed: UInt64) throws {
        var random = RandomMessages(seed: seed)
        for _ in 0..<4 {
            let (value, text) = random.rangeAnswer()
            try check(value, text, in: "diskdelta/v1/answer.proto", seed: seed)
        }
    }

    @Test(arguments: seeds)
    func batchesOfRequests(seed: UInt64) throws {
        var random = RandomMessages(seed: seed)
        let requests = (0..<100).map { _ in random.request() }
        try check(
            GetVirtualDiskChangesBatchRequest(disks: requests.map(\.value)),
            requests.map { "disks { \($0.text) }" }.joined(separator: "\n"),
            in: "diskdelta/v1/image_management.proto",
            seed: seed
        )
    }

    @Test(arguments: seeds)
    func serverInfo(seed: UInt64) throws {
        var random = RandomMessages(seed: seed)
        let (value, text) = random.serverInfo()
        try check(value, text, in: "diskdelta/v1/server_info.proto", seed: seed)
    }

    @Test func theirDecoderReadsNestedMessages() throws {
        let answer = BatchRangeAnswer(
            disk: 3,
            part: .answer(RangeAnswer(part: .runs(RangeRuns(gap: [1, 300], length: [2, 1]))))
        )
        let text = try Protoc.decode(
            try answer.encode(),
            as: BatchRangeAnswer.fullName,
            in: "diskdelta/v1/image_management.proto"
        )
        let words = text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        #expect(words == "disk: 3 answer { runs { gap: 1 gap: 300 length: 2 length: 1 } }")
    }

    private func check<M: Message>(_ value: M, _ text: String, in schema: String, seed: UInt64) throws {
        let theirs = try Protoc.encode(text, as: M.fullName, in: schema)
        let ours = try value.encode()
        #expect(ours == theirs, "seed \(seed): \(text)")
        #expect(try M(decoding: theirs) == value, "seed \(seed): \(text)")
    }
}

import DiskDeltaProtocol
import Testing

@Suite struct MessageTests {
    @Test func aBatchComesBackAsItWas() throws {
        let runs = RangeRuns(
            processedEnd: 1 << 40,
            gap: [0, 1, 127, 128, 1 << 35, .max],
            length: [1, 2, 3, 4, 5, 6],
            zero: [0b101]
        )
        let answer = RangeAnswer(part: .runs(runs))
        let bytes = try answer.encode()
        #expect(try answer.encodedSize() == bytes.count)
        #expect(try RangeAnswer(decoding: bytes) == answer)
    }

    @Test func everyKindOfFieldComesBackAsItWas() throws {
        let response = GetServerInfoResponse(
            version: "1.0",
            identity: "Zoë \u{1F600}",
            formats: [.vhdx, .qcow2, ImageFormat(rawValue: 77), ImageFormat(rawValue: -3)],
            limits: ServerLimits(maxFrameSize: 1 << 18, maxRequestSize: 65536, maxStreams: .max),
            methods: ["a", "", "c"]
        )
        #expect(try GetServerInfoResponse(decoding: try response.encode()) == response)

        let list = ListBaselinesResponse(
            epoch: "e",
            baselines: [
                Baseline(id: "1", kind: .layer, granularity: 4096, usable: true),
                Baseline(),
                Baseline(kind: BaselineKind(rawValue: .min), reason: Reason.epochChanged.name),
            ]
        )
        #expect(try ListBaselinesResponse(decoding: try list.encode()) == list)
    }

    @Test func anAbsentNumberIsNotZero() throws {
        for length in [nil, 0, 1, UInt64.max] {
            let request = GetVirtualDiskChangesRequest(path: "root/a.vhdx", byteLength: length)
            #expect(try GetVirtualDiskChangesRequest(decoding: try request.encode()) == request)
        }
    }
}

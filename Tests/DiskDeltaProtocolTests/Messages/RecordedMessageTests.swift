import DiskDeltaProtocol
import Testing

/// Messages as `protoc --encode` wrote them.
@Suite struct RecordedMessageTests {
    @Test func aBatchOfRuns() throws {
        try check(
            RangeAnswer(
                part: .runs(
                    RangeRuns(
                        processedEnd: 1 << 40,
                        gap: [0, 1, 127, 128, 1 << 35, .max],
                        length: [1, 2, 3, 4, 5, 6],
                        zero: [0b101]
                    )
                )
            ),
            "122908808080808020121500017f8001808080808001ffffffffffffffffff011a06010203040506220105"
        )
    }

    @Test func aBatchAsBitmap() throws {
        try check(
            RangeAnswer(part: .bitmap(RangeBitmap(processedEnd: 4096, bits: [0x01, 0x80]))),
            "1a0708802012020180"
        )
    }

    @Test func theDetailsOfAnEnd() throws {
        try check(
            StatusDetails(
                reason: .epochChanged,
                returnValue: 32775,
                detailCode: 0xC03A_0029,
                resumeOffset: 512,
                totals: AnswerTotals(processed: 1, ranges: 2, bytes: 3, dataBytes: 2, zeroBytes: 1)
            ),
            "080d1087800218a980e8810c2080042a0a08011002180320022801"
        )
    }

    @Test func aPresentZeroAndAStringBeyondASCII() throws {
        try check(
            GetVirtualDiskChangesRequest(path: "root/é.vhdx", byteLength: 0),
            "0a0c726f6f742fc3a92e766864782800"
        )
    }

    @Test func unknownNumbersAndEmptyMembers() throws {
        try check(
            GetServerInfoResponse(
                version: "1",
                formats: [.vhdx, .qcow2, ImageFormat(rawValue: 77), ImageFormat(rawValue: -3)],
                limits: ServerLimits(),
                methods: ["a", ""]
            ),
            "0a01311a0d01044dfdffffffffffffffff0122002a01612a00"
        )
    }

    private func check<M: Message>(_ message: M, _ recorded: String) throws {
        let digits = Array(recorded)
        let bytes = try stride(from: 0, to: digits.count, by: 2).map { index in
            try #require(UInt8(String(digits[index..<index + 2]), radix: 16))
        }
        #expect(try message.encode() == bytes)
        #expect(try M(decoding: bytes) == message)
    }
}

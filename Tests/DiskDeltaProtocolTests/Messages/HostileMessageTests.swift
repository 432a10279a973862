import TestSupport
import Testing

@testable import DiskDeltaProtocol

/// Bytes that nobody honest sends get an error, or a message, but never more memory than the budget, and never a trap.
@Suite struct HostileMessageTests {
    /// Patterns that unfold to many times their length, filled up to 256 KiB.
    static let amplifiers: [(name: String, pattern: [UInt8])] = [
        ("empty submessages", [0x12, 0x00]),
        ("unknown empty fields", [0x7A, 0x00]),
        ("one scalar again and again", [0x08, 0x01]),
        ("empty strings", [0x0A, 0x00]),
        ("strings of one byte", [0x0A, 0x01, 0x61]),
        ("packed runs of one element", [0x12, 0x01, 0x05]),
        ("unknown varints", [0x78, 0x01]),
    ]

    @Test(arguments: amplifiers.indices)
    func memoryStaysWithinTheBudget(index: Int) throws {
        let (name, pattern) = Self.amplifiers[index]
        let bytes = (0..<262_144 / pattern.count).flatMap { _ in pattern }
        check(ListBaselinesResponse.self, bytes, name)
        check(RangeAnswer.self, bytes, name)
        check(RangeRuns.self, bytes, name)
        check(VHDSetInformation.self, bytes, name)
        check(GetVirtualDiskChangesBatchRequest.self, bytes, name)
    }

    private func check<M: StructuredMessage>(_ type: M.Type, _ bytes: [UInt8], _ name: String) {
        bytes.withUnsafeBytes { bytes in
            let budget = MessageArena.budget(forPayloadOf: bytes.count) ?? 0
            let arena = MessageArena(budget: budget)
            _ = Result { try M.decoded(bytes, in: arena) }
            #expect(arena.reserved <= budget, "\(name) as \(M.fullName)")
        }
    }

    @Test func whatNeedsTooMuchMemoryIsRefusedAsSuch() {
        let bytes = (0..<131_072).flatMap { _ in [0x12, 0x00] as [UInt8] }
        #expect(throws: MessageError(.tooLarge, in: "diskdelta.v1.ListBaselinesResponse")) {
            try ListBaselinesResponse(decoding: bytes)
        }
        #expect(throws: MessageError(.tooLarge, in: "diskdelta.v1.RangeBitmap")) {
            try RangeBitmap(decoding: [UInt8](repeating: 0, count: 1 << 24))
        }
    }

    @Test func theLongestHonestBatchFits() throws {
        let count = (1 << 23) - 16
        let gap = UInt64Column([UInt64](repeating: 1, count: count))
        let runs = RangeRuns(processedEnd: 1, gap: gap, length: gap)
        #expect(try RangeRuns(decoding: try runs.encode()) == runs)
    }

    @Test func aMessageThatIsCutIsRefused() throws {
        let answer = BatchRangeAnswer(
            disk: 9,
            part: .answer(
                RangeAnswer(part: .runs(RangeRuns(processedEnd: 512, gap: [1, 2, 300], length: [4, 5, 6], zero: [7])))
            )
        )
        let bytes = try answer.encode()
        // The first field is two bytes long: what is cut right behind it is a message, the one that has only that field.
        for length in 0..<bytes.count where length != 0 && length != 2 {
            #expect(throws: MessageError(.malformed, in: BatchRangeAnswer.fullName), "cut at \(length)") {
                try BatchRangeAnswer(decoding: Array(bytes.prefix(length)))
            }
        }
        #expect(try BatchRangeAnswer(decoding: Array(bytes.prefix(2))) == BatchRangeAnswer(disk: 9))
        #expect(try BatchRangeAnswer(decoding: []) == BatchRangeAnswer())
    }

    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func randomBytesNeverTrap(seed: UInt64) throws {
        var generator = RepeatableGenerator(seed: seed)
        for _ in 0..<2000 {
            let count = Int.random(in: 0..<100, using: &generator)
            let bytes = (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
            try readAgain(RangeAnswer.self, bytes, seed)
            try readAgain(ListBaselinesResponse.self, bytes, seed)
        }
    }

    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func damagedMessagesNeverTrap(seed: UInt64) throws {
        var generator = RepeatableGenerator(seed: seed)
        var random = RandomMessages(seed: seed)
        for _ in 0..<300 {
            let originals = [
                try random.rangeAnswer().value.encode(), try random.serverInfo().value.encode(),
                try random.request().value.encode(),
            ]
            for original in originals where !original.isEmpty {
                var bytes = original
                for _ in 0..<Int.random(in: 1...4, using: &generator) {
                    bytes[Int.random(in: bytes.indices, using: &generator)] ^=
                        1 << UInt8.random(in: 0..<8, using: &generator)
                }
                try readAgain(RangeAnswer.self, bytes, seed)
                try readAgain(GetServerInfoResponse.self, bytes, seed)
                try readAgain(GetVirtualDiskChangesBatchRequest.self, bytes, seed)
            }
        }
    }

    /// What can be read can be written, and reads the same again.
    private func readAgain<M: Message>(_ type: M.Type, _ bytes: [UInt8], _ seed: UInt64) throws {
        guard let message = try? M(decoding: bytes) else { return }
        #expect(try M(decoding: try message.encode()) == message, "seed \(seed): \(bytes)")
    }

    @Test func unknownFieldsAreDroppedHoweverDeep() throws {
        // Field 15, a thousand times inside itself.
        var nested: [UInt8] = []
        for _ in 0..<1000 {
            nested = [0x7A] + varint(nested.count) + nested
        }
        let request = try VirtualHardDiskRequest(decoding: [0x0A, 0x01, 0x70] + nested)
        #expect(request == VirtualHardDiskRequest(path: "p"))
    }

    @Test func groupsAreRefused() {
        #expect(throws: MessageError(.malformed, in: VirtualHardDiskRequest.fullName)) {
            try VirtualHardDiskRequest(decoding: [0x7B, 0x7C])
        }
    }

    @Test(
        arguments: [[0x80], [0xC0, 0xAF], [0xED, 0xA0, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xE2, 0x82]] as [[UInt8]]
    )
    func aStringThatIsNotUTF8IsRefused(content: [UInt8]) {
        #expect(throws: MessageError(.invalidUTF8, in: "diskdelta.v1.VirtualHardDiskRequest.path")) {
            try VirtualHardDiskRequest(decoding: [0x0A, UInt8(content.count)] + content)
        }
    }

    @Test(arguments: [[0x00], [0x61, 0x00], [0x00, 0x61], [0x61, 0x00, 0x62]] as [[UInt8]])
    func aStringWithNULIsRefused(content: [UInt8]) throws {
        #expect(throws: MessageError(.nulInString, in: "diskdelta.v1.VirtualHardDiskRequest.path")) {
            try VirtualHardDiskRequest(decoding: [0x0A, UInt8(content.count)] + content)
        }
        #expect(throws: MessageError(.nulInString, in: "diskdelta.v1.VirtualHardDiskRequest.path")) {
            try VirtualHardDiskRequest(path: String(decoding: content, as: UTF8.self)).encode()
        }
        #expect(throws: MessageError(.nulInString, in: "diskdelta.v1.VHDSetInformation.all_paths")) {
            try VHDSetInformation(allPaths: ["a", String(decoding: content, as: UTF8.self)]).prepareEncoding()
        }
    }

    private func varint(_ number: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = number
        while rest >= 0x80 {
            bytes.append(UInt8(rest & 0x7F) | 0x80)
            rest >>= 7
        }
        return bytes + [UInt8(rest)]
    }
}

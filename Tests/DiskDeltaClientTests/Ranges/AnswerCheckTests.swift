import DiskDeltaProtocol
import Testing

@testable import DiskDeltaClient

/// Each rule of `Docs/Protocol.md`, section 15, that a client can see broken, broken once.
@Suite("The check of a range answer, rule by rule")
struct AnswerCheckTests {
    private static let header = AnswerHeader(
        disk: "root/disk.vhdx",
        format: .vhdx,
        size: 65_536,
        since: "{a}",
        epoch: "e",
        granularity: 512,
        basis: .changes,
        unit: 512,
        windowOffset: 4_096,
        windowLength: 32_768
    )

    /// The answer of which every test here breaks one thing: ranges at 4608 (512 bytes, data) and 8192 (1024, zero) in one
    /// batch, at 20480 (512, data) in another.
    private let answer = Answer(
        [
            ChangedRange(offset: 4_608, length: 512, kind: .data),
            ChangedRange(offset: 8_192, length: 1_024, kind: .zero),
            ChangedRange(offset: 20_480, length: 512, kind: .data),
        ],
        size: 65_536,
        window: 4_096..<36_864,
        cuts: [16_384]
    )

    private func expect(_ rule: String, _ answer: Answer, sourceLocation: SourceLocation = #_sourceLocation) {
        let error = answer.checked().error
        #expect(error?.reason == .answerInvalid, "\(rule)", sourceLocation: sourceLocation)
        #expect(error?.status == .internal, sourceLocation: sourceLocation)
        #expect(error?.message.contains(rule) == true, "\(error?.message ?? "")", sourceLocation: sourceLocation)
    }

    private func with(header change: (inout AnswerHeader) -> Void) -> Answer {
        var header = Self.header
        change(&header)
        var changed = answer
        changed.messages[0] = RangeAnswer(part: .header(header))
        return changed
    }

    /// The answer with runs of the test's choice as its only batch.
    private func with(
        _ gap: [UInt64],
        _ length: [UInt64],
        zero: [UInt8] = [],
        processedEnd: UInt64 = 36_864
    ) -> Answer {
        var changed = answer
        changed.messages[1...] = [Self.runs(gap, length, zero: zero, processedEnd: processedEnd)]
        return changed
    }

    private static func runs(
        _ gap: [UInt64],
        _ length: [UInt64],
        zero: [UInt8] = [],
        processedEnd: UInt64
    ) -> RangeAnswer {
        RangeAnswer(
            part: .runs(
                RangeRuns(
                    processedEnd: processedEnd,
                    gap: UInt64Column(gap),
                    length: UInt64Column(length),
                    zero: ByteColumn(zero)
                )
            )
        )
    }

    private static func bits(_ bytes: [UInt8], processedEnd: UInt64) -> RangeAnswer {
        RangeAnswer(part: .bitmap(RangeBitmap(processedEnd: processedEnd, bits: ByteColumn(bytes))))
    }

    /// `head` and then `tail` as the batches of the answer.
    private func with(_ batches: RangeAnswer...) -> Answer {
        var changed = answer
        changed.messages[1...] = batches[...]
        return changed
    }

    private func with(details change: (inout StatusDetails) -> Void) -> Answer {
        var changed = answer
        change(&changed.details)
        return changed
    }

    @Test func theAnswerItselfIsAccepted() {
        let (ranges, error) = answer.checked()
        #expect(error == nil)
        #expect(ranges == answer.ranges)
        #expect(with(header: { _ in }).checked().error == nil)
    }

    // MARK: The header

    @Test func p60() {
        var changed = answer
        changed.messages.remove(at: 0)
        expect("P-60", changed)
        changed = answer
        changed.messages.insert(changed.messages[0], at: 1)
        expect("P-60", changed)
        changed = answer
        changed.messages.append(changed.messages[0])
        expect("P-60", changed)
        for index in 0...3 {
            changed = answer
            changed.messages.insert(RangeAnswer(), at: index)
            expect("P-60", changed)
        }
        changed = answer
        changed.messages.swapAt(0, 1)
        expect("P-60", changed)
    }

    @Test("The unit", arguments: [0, 1, 256, 513, 768, 1536, 8_192, 1 << 63, .max] as [UInt64])
    func p61(unit: UInt64) {
        expect("P-61", with { $0.unit = unit })
    }

    @Test func anEmptyWindowStartsAnywhere() {
        let answer = Answer([], size: 1_000, unit: 512, window: 1_000..<1_000)
        #expect(answer.checked().error == nil)
    }

    @Test func p62() {
        expect("P-62", with { $0.size = 1 << 63 })
        expect("P-62", with { $0.size = .max })
        expect("P-62", with { $0.size = 4_095 })
        expect("P-62", with { $0.size = 36_863 })
        expect("P-62", with { $0.windowLength = 65_536 - 4_096 + 1 })
        expect("P-62", with { $0.windowLength = .max })
        expect("P-62", with { $0.windowOffset = .max - 511 })
        expect("P-62", with { $0.windowOffset = 66_048 })
    }

    @Test func p63() {
        expect("P-63", with { $0.windowOffset = 4_608 })
        expect("P-63", with { $0.windowOffset = 0 })
        expect("P-63", with { $0.windowLength -= 512 })
        expect("P-63", with { $0.windowLength += 512 })
        var open = answer
        open.expectation.length = nil
        expect("P-63", open)
        var beyond = answer
        beyond.expectation.length = .max
        expect("P-63", beyond)
        var clipped = with {
            $0.size = 36_864
        }
        clipped.expectation.length = .max
        #expect(clipped.checked().error == nil)
        clipped.expectation.length = nil
        #expect(clipped.checked().error == nil)
    }

    // MARK: Batches

    @Test func p64() {
        expect("P-64", with([], [], processedEnd: 4_096))
        expect("P-64", with([], [], processedEnd: 0))
        expect("P-64", with([], [], processedEnd: 36_865))
        expect("P-64", with([], [], processedEnd: 37_376))
        expect("P-64", with([], [], processedEnd: .max))
        expect("P-64", with([], [], processedEnd: 4_097))
        expect("P-64", with(Self.runs([], [], processedEnd: 16_384), Self.runs([], [], processedEnd: 16_384)))
        expect("P-64", with(Self.runs([], [], processedEnd: 16_384), Self.runs([], [], processedEnd: 8_192)))
        expect("P-64", with(Self.bits([], processedEnd: 4_096)))
        expect("P-64", with(Self.bits([0], processedEnd: 4_100)))
        var more = answer
        more.messages.append(Self.runs([], [], processedEnd: 36_864))
        expect("P-64", more)
    }

    @Test func p65() {
        // Beyond the end of the batch, by one unit and by as much as a number holds.
        expect("P-65", with([63], [2]))
        expect("P-65", with([64], [1]))
        expect("P-65", with([0], [65]))
        expect("P-65", with([.max], [1]))
        expect("P-65", with([0], [.max]))
        expect("P-65", with([.max], [.max]))
        expect("P-65", with([1 << 55], [1]))
        expect("P-65", with([1, .max - 1], [1, 1]))
        expect("P-65", with([1, 1], [1, .max - 1]))
        // What wraps around to something that looks right.
        expect("P-65", with([1, .max], [2, 1]))
        expect("P-65", with([8], [1], processedEnd: 8_192))
        expect("P-65", with([1], [0]))
        expect("P-65", with([1, 1], [1, 0]))
    }

    @Test func p66() {
        expect("P-66", with([1, 0], [1, 1]))
        expect("P-66", with([1, 0], [1, 1], zero: [0b11]))
        let head = Self.runs([23], [1], processedEnd: 16_384)
        expect("P-66", with(head, Self.runs([0], [1], processedEnd: 36_864)))
        expect("P-66", with(head, Self.bits([1, 0, 0, 0, 0], processedEnd: 36_864)))
        let bits = Self.bits([0, 0, 0b1000_0000], processedEnd: 16_384)
        expect("P-66", with(bits, Self.runs([0], [1], processedEnd: 36_864)))
        expect("P-66", with(bits, Self.bits([1, 0, 0, 0, 0], processedEnd: 36_864)))
        // Not with a batch of no ranges between them, and not where the kinds differ: then only the totals are wrong.
        let zero = Self.runs([0], [1], zero: [1], processedEnd: 36_864)
        expect("P-75", with(head, zero))
        expect("P-75", with(Self.runs([1, 0], [1, 1], zero: [0b10], processedEnd: 36_864)))
        expect("P-75", with(head, Self.runs([1], [1], processedEnd: 36_864)))
    }

    @Test func p67() {
        var changed = answer
        changed.messages.insert(Self.runs([], [], processedEnd: 18_432), at: 2)
        changed.messages[3] = Self.runs([4], [1], processedEnd: 36_864)
        #expect(changed.checked().error == nil)
        #expect(changed.checked().ranges == answer.ranges)
    }

    @Test func p68() {
        // A disk of ten units and a sector: the last unit is cut.
        let size: UInt64 = 10 * 4_096 + 512
        let last = ChangedRange(offset: 40_960, length: 512, kind: .data)
        for isBits in [false, true] {
            let answer = Answer([last], size: size, unit: 4_096, window: 0..<size, asBits: { _ in isBits })
            #expect(answer.checked().error == nil)
            #expect(answer.checked().ranges == [last])
        }
        // By a whole unit it is too long; and where the batch does not end with the disk it may not pass its end at all.
        var tooLong = Answer([last], size: size, unit: 4_096, window: 0..<size)
        tooLong.messages[1] = Self.runs([10], [2], processedEnd: size)
        expect("P-65", tooLong)
        var inside = Answer([], size: size + 4_096, unit: 4_096, window: 0..<size)
        inside.messages[1] = Self.runs([10], [1], processedEnd: size)
        expect("P-65", inside)
        // The same where the unit reaches beyond the end of the disk, and the window ends a little before it.
        inside = Answer([], size: size + 512, unit: 4_096, window: 0..<size)
        inside.messages[1] = Self.runs([10], [1], processedEnd: size)
        expect("P-65", inside)
    }

    @Test func p69() {
        expect("P-69", with([1], []))
        expect("P-69", with([], [1]))
        expect("P-69", with([1, 1], [1]))
    }

    @Test func p70() {
        expect("P-70", with([], [], zero: [0]))
        expect("P-70", with([1], [1], zero: [0, 0]))
        expect("P-70", with([1], [1], zero: [0b10]))
        expect("P-70", with([1], [1], zero: [0b1000_0001]))
        let nine: [UInt64] = [1, 1, 1, 1, 1, 1, 1, 1, 1]
        expect("P-70", with(nine, nine, zero: [0]))
        expect("P-70", with(nine, nine, zero: [0, 0b10]))
        expect("P-70", with(nine, nine, zero: [0, 0, 0]))
    }

    @Test func p71() {
        expect("P-71", with(Self.bits([], processedEnd: 36_864)))
        expect("P-71", with(Self.bits([UInt8](repeating: 0, count: 7), processedEnd: 36_864)))
        expect("P-71", with(Self.bits([UInt8](repeating: 0, count: 9), processedEnd: 36_864)))
        // Three units, and bits for more.
        for spare in 3..<8 {
            expect("P-71", with(Self.bits([1 << UInt8(spare)], processedEnd: 4_096 + 3 * 512)))
        }
        expect("P-71", with(Self.bits([0xFF], processedEnd: 4_096 + 3 * 512)))
    }

    @Test func p104() {
        // The window, from 4096 to 36864, begins and ends inside granules of 16 KiB.
        func coarse(_ gap: [UInt64], _ length: [UInt64], processedEnd: UInt64 = 36_864) -> Answer {
            var changed = with { $0.granularity = 16_384 }
            changed.messages[1...] = [Self.runs(gap, length, processedEnd: processedEnd)]
            return changed
        }
        // From the start of the window, to its end, and whole granules: only the totals are others.
        for right in [coarse([0], [24]), coarse([56], [8]), coarse([24], [32]), coarse([0], [64])] {
            expect("P-75", right)
        }
        expect("P-104", coarse([1], [23]))
        expect("P-104", coarse([0], [23]))
        expect("P-104", coarse([24], [31]))
        expect("P-104", coarse([56], [7]))
        expect("P-104", coarse([0, 1], [24, 31]))
        for end in [8_192, 12_288, 32_256] as [UInt64] {
            expect("P-104", coarse([], [], processedEnd: end))
        }
        var bits = coarse([], [])
        bits.messages[1] = Self.bits([0, 0, 0, 0xFE, 0xFF, 0xFF, 0xFF, 0], processedEnd: 36_864)
        expect("P-104", bits)
        bits.messages[1] = Self.bits([0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0], processedEnd: 36_864)
        expect("P-75", bits)
    }

    // MARK: The end

    @Test func p74() {
        var changed = answer
        changed.messages = []
        expect("P-74", changed)
        changed = answer
        changed.messages.removeLast()
        expect("P-74", changed)
        changed = answer
        changed.messages.removeLast(2)
        expect("P-74", changed)
    }

    @Test func p75() {
        expect("P-75", with(details: { $0.totals = nil }))
        expect("P-75", with(details: { $0.resumeOffset = 0 }))
        expect("P-75", with(details: { $0.resumeOffset += 1 }))
        let fields: [WritableKeyPath<AnswerTotals, UInt64>] = [
            \.processed, \.ranges, \.bytes, \.dataBytes, \.zeroBytes, \.offsetSum,
        ]
        for field in fields {
            for bit in 0..<64 {
                expect("P-75", with(details: { $0.totals?[keyPath: field] ^= 1 << UInt64(bit) }))
            }
        }
        // Wrong in two fields that make up for each other.
        expect(
            "P-75",
            with(details: {
                $0.totals?.dataBytes += 512
                $0.totals?.zeroBytes -= 512
            })
        )
    }

    @Test func p35() {
        expect("P-35", with(details: { $0.reason = .imageCorrupt }))
        expect("P-35", with(details: { $0.reason = Reason(rawValue: 999) }))
        expect("P-35", with(details: { $0.returnValue = 32_768 }))
        expect("P-35", with(details: { $0.detailCode = 0xC03A_0030 }))
    }

    @Test func anEmptyWindowHasAHeaderAndAnEnd() {
        let empty = Answer([], size: 65_536, window: 65_536..<65_536)
        #expect(empty.messages.count == 1)
        #expect(empty.checked().error == nil)
        var changed = empty
        changed.messages.append(Self.runs([], [], processedEnd: 65_536))
        expect("P-64", changed)
    }

    /// The largest disk with the largest unit: nothing overflows.
    @Test func theLimitsOfNumbers() {
        let size = UInt64(Int64.max)
        for unit: UInt64 in [512, 1 << 62, 1 << 63] {
            let whole = ChangedRange(offset: 0, length: size, kind: .data)
            let answer = Answer([whole], size: size, unit: unit, window: 0..<size)
            #expect(answer.checked().error == nil)
            #expect(answer.checked().ranges == [whole])
            var beyond = answer
            beyond.messages[1] = Self.runs([0], [.max], processedEnd: size)
            expect("P-65", beyond)
            beyond.messages[1] = Self.runs([.max / unit + 1], [1], processedEnd: size)
            expect("P-65", beyond)
        }
    }

    @Test func anErrorSaysHowFarTheAnswerHadCome() {
        var changed = answer
        changed.messages[2] = Self.runs([.max], [1], processedEnd: 36_864)
        #expect(changed.checked().error?.resumeOffset == 16_384)
        changed.messages = [RangeAnswer()]
        #expect(changed.checked().error?.resumeOffset == 4_096)
    }
}

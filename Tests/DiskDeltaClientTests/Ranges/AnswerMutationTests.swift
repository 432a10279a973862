import DiskDeltaProtocol
import TestSupport
import Testing

@testable import DiskDeltaClient

/// Whatever happens to a correct answer on its way, it is refused.
@Suite("Answers that something happened to")
struct AnswerMutationTests {
    private static let seeds: [UInt64] = (1...60).map { $0 &* 0x9E37_79B9 }

    @Test("A correct answer is accepted, and says what was written", arguments: seeds)
    func correct(seed: UInt64) {
        print("answers: seed \(seed)")
        var generator = RepeatableGenerator(seed: seed)
        for _ in 0..<20 {
            let answer = Answer.random(using: &generator)
            let (ranges, error) = answer.checked()
            #expect(error == nil, "seed \(seed)")
            #expect(ranges == answer.ranges, "seed \(seed)")
        }
    }

    @Test("Both forms tell the same ranges", arguments: seeds.prefix(20))
    func bothForms(seed: UInt64) {
        var generator = RepeatableGenerator(seed: seed)
        for _ in 0..<20 {
            let answer = Answer.random(using: &generator)
            let ranges = answer.ranges.filter { $0.kind == .data }
            guard case .header(let header) = answer.messages[0].part else { continue }
            let window = header.windowOffset..<header.windowOffset + header.windowLength
            // Data that touches a zero does not touch data, so that what is left is whole.
            let both = [false, true].map { isBits in
                Answer(ranges, size: header.size, unit: header.unit, window: window, asBits: { _ in isBits }).checked()
            }
            #expect(both[0].error == nil && both[1].error == nil, "seed \(seed)")
            #expect(both[0].ranges == ranges, "seed \(seed)")
            #expect(both[1].ranges == ranges, "seed \(seed)")
        }
    }

    @Test("Every change of one number is noticed", arguments: seeds)
    func oneNumber(seed: UInt64) throws {
        var generator = RepeatableGenerator(seed: seed)
        let answer = Answer.random(using: &generator)
        func refused(_ changed: Answer, _ what: String) {
            #expect(changed.checked().error?.reason == .answerInvalid, "seed \(seed): \(what)")
        }
        for (index, message) in answer.messages.enumerated() {
            var changed = answer
            switch message.part {
            case .header(let header):
                // The words of the header are opaque to the client; the numbers that place the ranges are not. A size or a
                // unit that fits the same ranges is another answer, and not one about which the totals could tell.
                for field in [\AnswerHeader.windowOffset, \.windowLength] as [WritableKeyPath<AnswerHeader, UInt64>] {
                    for bit in 0..<64 {
                        var other = header
                        other[keyPath: field] ^= 1 << UInt64(bit)
                        changed.messages[index] = RangeAnswer(part: .header(other))
                        refused(changed, "\(field), bit \(bit)")
                    }
                }
            case .runs(let runs):
                let (gap, length, zero) = (Array(runs.gap), Array(runs.length), Array(runs.zero))
                for place in gap.indices {
                    for bit in 0..<64 {
                        var other = length
                        other[place] ^= 1 << UInt64(bit)
                        var part = runs
                        part.length = UInt64Column(other)
                        changed.messages[index] = RangeAnswer(part: .runs(part))
                        refused(changed, "length \(place), bit \(bit)")
                    }
                }
                for bit in 0..<zero.count * 8 {
                    var other = zero
                    other[bit / 8] ^= 1 << UInt8(bit % 8)
                    var part = runs
                    part.zero = ByteColumn(other)
                    changed.messages[index] = RangeAnswer(part: .runs(part))
                    refused(changed, "zero bit \(bit)")
                }
                refused(dropping(index, of: answer, runs, gap.dropLast(), length), "a gap is missing")
                refused(dropping(index, of: answer, runs, gap[...], length.dropLast()), "a length is missing")
            case .bitmap(let bitmap):
                for bit in 0..<bitmap.bits.count * 8 {
                    var bytes = Array(bitmap.bits)
                    bytes[bit / 8] ^= 1 << UInt8(bit % 8)
                    changed.messages[index] = RangeAnswer(
                        part: .bitmap(RangeBitmap(processedEnd: bitmap.processedEnd, bits: ByteColumn(bytes)))
                    )
                    refused(changed, "bit \(bit)")
                }
            case nil: Issue.record("an answer of the test has an empty message")
            }
        }
    }

    private func dropping(
        _ index: Int,
        of answer: Answer,
        _ runs: RangeRuns,
        _ gap: ArraySlice<UInt64>,
        _ length: some Sequence<UInt64>
    ) -> Answer {
        var part = runs
        part.gap = UInt64Column(Array(gap))
        part.length = UInt64Column(Array(length))
        var changed = answer
        // A batch without ranges has nothing to drop: it is given a gap too many instead.
        if runs.gap.isEmpty { part.gap = [1] }
        changed.messages[index] = RangeAnswer(part: .runs(part))
        return changed
    }

    /// A gap says where a range is, and no total is a sum of places. A change that moves ranges within their batch is
    /// therefore another answer in itself; any other is refused.
    @Test("A change of a gap is refused, or moves whole ranges inside their batch", arguments: seeds)
    func oneGap(seed: UInt64) throws {
        var generator = RepeatableGenerator(seed: seed)
        let answer = Answer.random(using: &generator)
        for (index, message) in answer.messages.enumerated() {
            guard case .runs(let runs) = message.part else { continue }
            for place in 0..<runs.gap.count {
                for bit in 0..<64 {
                    var gap = Array(runs.gap)
                    gap[place] ^= 1 << UInt64(bit)
                    var part = runs
                    part.gap = UInt64Column(gap)
                    var changed = answer
                    changed.messages[index] = RangeAnswer(part: .runs(part))
                    let (ranges, error) = changed.checked()
                    if let error {
                        #expect(error.reason == .answerInvalid, "seed \(seed)")
                    } else {
                        #expect(ranges.map(\.length) == answer.ranges.map(\.length), "seed \(seed)")
                        #expect(ranges.map(\.kind) == answer.ranges.map(\.kind), "seed \(seed)")
                        #expect(zip(ranges, ranges.dropFirst()).allSatisfy { $0.end <= $1.offset }, "seed \(seed)")
                    }
                }
            }
        }
    }

    @Test("A message that is missing, doubled, or out of order", arguments: seeds)
    func messages(seed: UInt64) {
        var generator = RepeatableGenerator(seed: seed)
        let answer = Answer.random(using: &generator)
        func refused(_ what: String, _ change: (inout [RangeAnswer]) -> Void) {
            var changed = answer
            change(&changed.messages)
            #expect(changed.checked().error?.reason == .answerInvalid, "seed \(seed): \(what)")
        }
        for index in answer.messages.indices {
            // Where a batch tells only progress, nothing but the number of its frame (P-29) tells that it is missing.
            if answer.messages[index].tellsMoreThanProgress {
                refused("without \(index)") { $0.remove(at: index) }
            }
            refused("\(index) twice") { $0.insert($0[index], at: index) }
            refused("\(index) again at the end") { $0.append($0[index]) }
            for other in answer.messages.indices where other > index {
                refused("\(index) and \(other) exchanged") { $0.swapAt(index, other) }
            }
        }
        for count in answer.messages.indices {
            var changed = answer
            changed.messages.removeLast(answer.messages.count - count)
            #expect(changed.checked().error?.reason == .answerInvalid, "seed \(seed): cut after \(count)")
        }
    }

    @Test("The totals of another answer", arguments: seeds)
    func otherTotals(seed: UInt64) {
        var generator = RepeatableGenerator(seed: seed)
        var answer = Answer.random(using: &generator)
        let other = Answer.random(using: &generator)
        guard other.details != answer.details else { return }
        answer.details = other.details
        #expect(answer.checked().error?.reason == .answerInvalid, "seed \(seed)")
    }

    @Test("Every bit of END's totals", arguments: seeds)
    func everyBitOfTheTotals(seed: UInt64) {
        var generator = RepeatableGenerator(seed: seed)
        let answer = Answer.random(using: &generator)
        let fields: [WritableKeyPath<AnswerTotals, UInt64>] = [
            \.processed, \.ranges, \.bytes, \.dataBytes, \.zeroBytes, \.offsetSum,
        ]
        for bit in 0..<64 {
            for field in fields {
                var changed = answer
                changed.details.totals?[keyPath: field] ^= 1 << UInt64(bit)
                #expect(changed.checked().error?.reason == .answerInvalid, "seed \(seed)")
            }
            var changed = answer
            changed.details.resumeOffset ^= 1 << UInt64(bit)
            #expect(changed.checked().error?.reason == .answerInvalid, "seed \(seed)")
        }
    }
}

extension RangeAnswer {
    fileprivate var tellsMoreThanProgress: Bool {
        switch part {
        case .runs(let runs): !runs.gap.isEmpty
        case .bitmap(let bitmap): Array(bitmap.bits).contains { $0 != 0 }
        default: true
        }
    }
}

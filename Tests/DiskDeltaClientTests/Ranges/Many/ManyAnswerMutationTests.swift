import DiskDeltaProtocol
import TestSupport
import Testing

@testable import DiskDeltaClient

/// Whatever happens to a correct answer about many disks on its way, no disk is taken for complete that is not.
@Suite("Answers about many disks that something happened to")
struct ManyAnswerMutationTests {
    private static let seeds: [UInt64] = (1...40).map { $0 &* 0x9E37_79B9 }

    /// The whole is refused, and nothing in it is told wrongly.
    private func refused(_ changed: ManyAnswer, _ note: Comment) {
        #expect(expectNothingWrong(changed, note)?.reason == .answerInvalid, note)
    }

    /// What is told as complete says what was written, also where the whole is refused. Gives why it is.
    @discardableResult
    private func expectNothingWrong(_ changed: ManyAnswer, _ note: Comment) -> CallError? {
        let (disks, error) = changed.checked()
        for (disk, answer) in zip(disks, changed.answers) {
            #expect(disk.isOrdered, note)
            if disk.isComplete { #expect(disk.ranges == answer.ranges, note) }
        }
        return error
    }

    @Test("A correct answer is accepted, and says what was written", arguments: seeds)
    func correct(seed: UInt64) {
        print("many answers: seed \(seed)")
        var generator = RepeatableGenerator(seed: seed)
        for _ in 0..<10 {
            let answer = ManyAnswer.random(using: &generator)
            let (disks, error) = answer.checked()
            #expect(error == nil, "seed \(seed)")
            for (disk, expected) in zip(disks, answer.answers) {
                #expect(disk.isOrdered && disk.ranges == expected.ranges, "seed \(seed)")
                #expect(disk.end == expected.details.totals.map { .success($0) }, "seed \(seed)")
            }
        }
    }

    @Test("A message that is missing, doubled, or of another disk", arguments: seeds)
    func messages(seed: UInt64) {
        var generator = RepeatableGenerator(seed: seed)
        let answer = ManyAnswer.random(using: &generator)
        for (index, message) in answer.messages.enumerated() {
            var changed = answer
            changed.messages.insert(message, at: index)
            refused(changed, "seed \(seed): \(index) twice")
            changed = answer
            changed.messages.append(message)
            refused(changed, "seed \(seed): \(index) again at the end")
            // Where a batch tells only progress, nothing but the number of its frame (P-29) tells that it is missing.
            guard message.tellsMoreThanProgress else { continue }
            changed = answer
            changed.messages.remove(at: index)
            refused(changed, "seed \(seed): without \(index)")
            for disk in answer.answers.indices where disk != Int(message.disk) {
                changed = answer
                changed.messages[index].disk = UInt32(disk)
                refused(changed, "seed \(seed): \(index) of disk \(disk)")
            }
        }
    }

    @Test("Messages of one disk that are exchanged", arguments: seeds)
    func exchanged(seed: UInt64) {
        var generator = RepeatableGenerator(seed: seed)
        let answer = ManyAnswer.random(using: &generator)
        for index in answer.messages.indices {
            for other in answer.messages.indices where other > index {
                guard answer.messages[index].disk == answer.messages[other].disk else { continue }
                var changed = answer
                changed.messages.swapAt(index, other)
                refused(changed, "seed \(seed): \(index) and \(other)")
            }
        }
    }

    @Test("Cut after every message", arguments: seeds)
    func cut(seed: UInt64) {
        var generator = RepeatableGenerator(seed: seed)
        let answer = ManyAnswer.random(using: &generator)
        for count in answer.messages.indices {
            var changed = answer
            changed.messages.removeLast(answer.messages.count - count)
            refused(changed, "seed \(seed): cut after \(count)")
            // What had its end before stays good.
            let ended = changed.messages.filter { if case .end = $0.part { true } else { false } }
            #expect(changed.checked().disks.filter(\.isComplete).count == ended.count, "seed \(seed)")
        }
    }

    @Test("A bit of the number of a disk", arguments: seeds)
    func bitsOfTheDisk(seed: UInt64) {
        var generator = RepeatableGenerator(seed: seed)
        let answer = ManyAnswer.random(using: &generator)
        for (index, message) in answer.messages.enumerated() where message.tellsMoreThanProgress {
            // All bits have their turn among the seeds.
            for bit in stride(from: Int.random(in: 0..<8, using: &generator), to: 32, by: 8) {
                var changed = answer
                changed.messages[index].disk ^= 1 << UInt32(bit)
                refused(changed, "seed \(seed): message \(index), bit \(bit)")
            }
        }
    }

    @Test("A bit of the totals of each disk", arguments: seeds)
    func bitsOfTheTotals(seed: UInt64) {
        var generator = RepeatableGenerator(seed: seed)
        let answer = ManyAnswer.random(using: &generator)
        let fields: [WritableKeyPath<AnswerTotals, UInt64>] = [
            \.processed, \.ranges, \.bytes, \.dataBytes, \.zeroBytes, \.offsetSum,
        ]
        for (index, message) in answer.messages.enumerated() {
            guard case .end(let end) = message.part else { continue }
            for bit in stride(from: Int.random(in: 0..<16, using: &generator), to: 64, by: 16) {
                for field in fields {
                    var changed = end
                    changed.details?.totals?[keyPath: field] ^= 1 << UInt64(bit)
                    var many = answer
                    many.messages[index].part = .end(changed)
                    let (disks, error) = many.checked()
                    #expect(error?.reason == .answerInvalid, "seed \(seed)")
                    #expect(!disks[Int(message.disk)].isComplete, "seed \(seed)")
                }
            }
        }
    }

    @Test("Messages at random are never a complete answer about another disk", arguments: seeds)
    func random(seed: UInt64) {
        var generator = RepeatableGenerator(seed: seed)
        let answer = ManyAnswer.random(using: &generator)
        for _ in 0..<50 {
            var changed = answer
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                guard let index = changed.messages.indices.randomElement(using: &generator) else { break }
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: changed.messages.remove(at: index)
                case 1: changed.messages.insert(changed.messages[index], at: index)
                case 2: changed.messages.swapAt(index, changed.messages.count - 1)
                default: changed.messages[index].disk = .random(in: 0...5, using: &generator)
                }
            }
            expectNothingWrong(changed, "seed \(seed)")
        }
    }
}

extension BatchRangeAnswer {
    fileprivate var tellsMoreThanProgress: Bool {
        guard case .answer(let answer) = part else { return true }
        switch answer.part {
        case .runs(let runs): return !runs.gap.isEmpty
        case .bitmap(let bitmap): return Array(bitmap.bits).contains { $0 != 0 }
        default: return true
        }
    }
}

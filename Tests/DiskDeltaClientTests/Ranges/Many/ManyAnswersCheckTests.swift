import DiskDeltaProtocol
import TestSupport
import Testing

@testable import DiskDeltaClient

/// Each rule of `Docs/Protocol.md`, section 17, that a client can see broken, broken once.
@Suite("The check of an answer about many disks, rule by rule")
struct ManyAnswersCheckTests {
    private static let first = Answer(
        [ChangedRange(offset: 512, length: 512, kind: .data), ChangedRange(offset: 9_216, length: 512, kind: .zero)],
        size: 65_536,
        window: 0..<65_536,
        cuts: [8_192]
    )
    private static let second = Answer(
        [ChangedRange(offset: 20_480, length: 1_024, kind: .data)],
        size: 32_768,
        window: 4_096..<32_768
    )

    /// By turns: messages 0, 2, 4, 6 are of the first disk, 1, 3, 5 of the second, each with an end at last.
    private let answer: ManyAnswer = {
        var turn = 0
        return ManyAnswer([first, second]) { open in
            defer { turn += 1 }
            return open == 2 ? turn % 2 : 0
        }
    }()

    private func with(_ change: (inout ManyAnswer) -> Void) -> ManyAnswer {
        var changed = answer
        change(&changed)
        return changed
    }

    private func expect(_ rule: String, _ answer: ManyAnswer, sourceLocation: SourceLocation = #_sourceLocation) {
        let error = answer.checked().error
        #expect(error?.reason == .answerInvalid, "\(rule)", sourceLocation: sourceLocation)
        #expect(error?.message.contains(rule) == true, "\(error?.message ?? "")", sourceLocation: sourceLocation)
        #expect(error?.resumeOffset == nil || rule < "P-95", sourceLocation: sourceLocation)
    }

    @Test func theAnswerItselfIsAccepted() {
        #expect(answer.messages.map(\.disk) == [0, 1, 0, 1, 0, 1, 0])
        let (disks, error) = answer.checked()
        #expect(error == nil)
        for (disk, expected) in zip(disks, answer.answers) {
            #expect(disk.isOrdered)
            #expect(disk.ranges == expected.ranges)
            #expect(disk.end == expected.details.totals.map { .success($0) })
        }
    }

    @Test("A disk that was not asked about (P-95)", arguments: [2, 3, 1 << 31, .max] as [UInt32])
    func unknownDisk(disk: UInt32) {
        for index in answer.messages.indices {
            expect("P-95", with { $0.messages[index].disk = disk })
        }
    }

    @Test func p95AMessageThatSaysNothing() {
        for index in 0...answer.messages.count {
            expect("P-95", with { $0.messages.insert(BatchRangeAnswer(), at: index) })
            expect("P-95", with { $0.messages.insert(BatchRangeAnswer(disk: 1), at: index) })
        }
    }

    @Test func p96AfterTheEnd() {
        let late = [answer.messages[0], answer.messages[2], answer.messages[6]]
        for message in late { expect("P-96", with { $0.messages.append(message) }) }
        // Also where the other disk goes on.
        expect("P-96", with { $0.messages.insert($0.messages[5], at: 6) })
        // A failure is an end, too.
        let failure = ManyAnswer.end(of: 1, .notFound, StatusDetails(reason: .fileNotFound))
        expect("P-96", with { $0.messages.insert(failure, at: 1) })
    }

    @Test("The messages of a disk are those of a range answer")
    func messagesOfADisk() {
        expect("P-60", with { $0.messages.remove(at: 0) })
        expect("P-60", with { $0.messages.insert($0.messages[1], at: 3) })
        expect("P-60", with { $0.messages.insert(BatchRangeAnswer(disk: 0, part: .answer(RangeAnswer())), at: 2) })
        expect("P-64", with { $0.messages.insert($0.messages[3], at: 4) })
        expect("P-63", with { $0.messages[0].disk = 1 })
    }

    @Test func theErrorSaysWhichDisk() {
        let error = with { $0.messages.insert($0.messages[3], at: 4) }.checked().error
        #expect(error?.message.contains("disk 1") == true, "\(error?.message ?? "")")
    }

    @Test func p97TheEndOfADisk() {
        // Without a header, and before the end of its window.
        let ended = ManyAnswer.end(of: 0, .ok, answer.answers[0].details)
        for index in [0, 1, 2, 4] { expect("P-74", with { $0.messages.insert(ended, at: index) }) }
        func end(_ details: StatusDetails?) -> ManyAnswer {
            with { $0.messages[6] = ManyAnswer.end(of: 0, .ok, details) }
        }
        expect("P-75", end(nil))
        expect("P-75", end(StatusDetails(resumeOffset: 65_536)))
        expect("P-75", end(answer.answers[1].details))
        var contradiction = answer.answers[0].details
        contradiction.reason = .imageCorrupt
        expect("P-35", end(contradiction))
        contradiction = answer.answers[0].details
        contradiction.returnValue = 1
        expect("P-35", end(contradiction))
    }

    @Test("A status that is none", arguments: [17, 256, -1, .max, .min] as [Int32])
    func p97Status(number: Int32) {
        for details in [answer.answers[0].details, nil] {
            expect(
                "P-97",
                with { $0.messages[6] = ManyAnswer.end(of: 0, Status(rawValue: number), details) }
            )
        }
    }

    @Test func aFailureOfOneDiskIsNoneOfTheOthers() {
        let details = StatusDetails(
            reason: .epochChanged,
            returnValue: 32_775,
            detailCode: 7,
            resumeOffset: 1,
            retryDelay: 9
        )
        // At every point of the disk's answer.
        for (count, position) in [(0, 0), (1, 0), (2, 8_192), (3, 65_536)] as [(Int, UInt64)] {
            let failed = with { answer in
                let keep = [0, 2, 4].prefix(count)
                answer.messages = answer.messages.enumerated()
                    .filter { $0.element.disk == 1 || keep.contains($0.offset) }
                    .map(\.element)
                answer.messages.append(ManyAnswer.end(of: 0, .aborted, details, message: "it changed"))
            }
            let (disks, error) = failed.checked()
            #expect(error == nil)
            #expect(disks[1].isComplete && disks[1].ranges == answer.answers[1].ranges)
            let failure = disks[0].failure
            #expect(failure?.reason == .epochChanged && failure?.status == .aborted && failure?.message == "it changed")
            #expect(failure?.detailCode == 7 && failure?.retryDelay == 9)
            // The client's own position, not the server's.
            #expect(failure?.resumeOffset == position)
        }
    }

    @Test func aFailureWithoutDetailsHasTheReasonOfItsStatus() {
        let failed = with { changed in
            let first = changed.messages.filter { $0.disk == 0 }
            changed.messages = [ManyAnswer.end(of: 1, .permissionDenied, nil)] + first
        }
        #expect(failed.checked().error == nil)
        #expect(failed.checked().disks[1].failure?.reason == .accessDenied)
        #expect(failed.checked().disks[1].failure?.resumeOffset == 4_096)
    }

    @Test func p98EveryDiskHasAnEnd() {
        for count in answer.messages.indices {
            expect("P-98", with { $0.messages.removeLast(answer.messages.count - count) })
        }
        expect("P-98", with { $0.messages.removeAll { $0.disk == 1 } })
    }

    @Test func p98TheWholeHasNoTotals() {
        expect("P-98", with { $0.details.totals = AnswerTotals() })
        expect("P-98", with { $0.details.totals = answer.answers[0].details.totals })
        expect("P-35", with { $0.details.reason = .internal })
        expect("P-35", with { $0.details.returnValue = 32_768 })
        expect("P-35", with { $0.details.detailCode = 1 })
    }
}

import DiskDeltaProtocol
import Testing

@testable import DiskDeltaClient

@Suite("When an answer is resumed")
struct ResumeSeriesTests {
    private let start = ContinuousClock.now

    private func at(_ milliseconds: Int) -> ContinuousClock.Instant { start + .milliseconds(milliseconds) }

    /// What a series decides at each of the times; nil stands for progress between them.
    private func decisions(_ policy: ResumePolicy, _ times: [Int?]) -> [ResumeSeries.Decision] {
        var series = ResumeSeries(policy)
        var decisions: [ResumeSeries.Decision] = []
        for time in times {
            if let time {
                decisions.append(series.broke(at: at(time), variation: 0))
            } else {
                series.progressed()
            }
        }
        return decisions
    }

    @Test func theFirstAttemptIsMadeAtOnceAndTheOthersWaitLonger() {
        let end = at(30_000)
        #expect(
            decisions(ResumePolicy(), [0, 10, 300, 700]) == [
                .tryAgain(after: .zero, patienceEnds: end), .tryAgain(after: .milliseconds(100), patienceEnds: end),
                .tryAgain(after: .milliseconds(160), patienceEnds: end),
                .tryAgain(after: .milliseconds(256), patienceEnds: end),
            ]
        )
    }

    @Test func patienceEnds() {
        let policy = ResumePolicy(patience: .seconds(1))
        let end = at(1_000)
        #expect(
            decisions(policy, [0, 950, 999, 1_000, 5_000]) == [
                .tryAgain(after: .zero, patienceEnds: end), .tryAgain(after: .milliseconds(50), patienceEnds: end),
                .tryAgain(after: .milliseconds(1), patienceEnds: end), .giveUp, .giveUp,
            ]
        )
    }

    @Test func progressStartsItAnew() {
        let policy = ResumePolicy(patience: .seconds(1))
        #expect(
            decisions(policy, [0, 900, nil, nil, 5_000, 5_010, 6_000]) == [
                .tryAgain(after: .zero, patienceEnds: at(1_000)),
                .tryAgain(after: .milliseconds(100), patienceEnds: at(1_000)),
                .tryAgain(after: .zero, patienceEnds: at(6_000)),
                .tryAgain(after: .milliseconds(100), patienceEnds: at(6_000)), .giveUp,
            ]
        )
    }

    @Test func attemptsEnd() {
        let policy = ResumePolicy(maximumAttempts: 2)
        let decisions = decisions(policy, [0, 1, 2, nil, 3, 4, 5])
        #expect(decisions.map { $0 == .giveUp } == [false, false, true, false, false, true])
    }

    @Test(arguments: [ResumePolicy.off, ResumePolicy(maximumAttempts: 0), ResumePolicy(patience: .seconds(-1))])
    func off(policy: ResumePolicy) {
        #expect(decisions(policy, [0, nil, 1]) == [.giveUp, .giveUp])
    }

    @Test("Not earlier than the server says (P-99)")
    func retryDelay() {
        var series = ResumeSeries(ResumePolicy(patience: .seconds(1)))
        func broke(_ time: Int, _ delay: Int) -> ResumeSeries.Decision {
            series.broke(at: at(time), variation: 0, retryDelay: .milliseconds(delay))
        }
        #expect(broke(0, 300) == .tryAgain(after: .milliseconds(300), patienceEnds: at(1_000)))
        // Where the series would wait longer by itself, it does.
        #expect(broke(310, 20) == .tryAgain(after: .milliseconds(100), patienceEnds: at(1_000)))
        // A server that wants more time than there is would be asked too early.
        #expect(broke(420, 580) == .giveUp)
        #expect(broke(420, 579) == .tryAgain(after: .milliseconds(579), patienceEnds: at(1_000)))
    }

    @Test func allAttemptsAreCounted() {
        var series = ResumeSeries(ResumePolicy())
        for _ in 0..<3 {
            _ = series.broke(at: start, variation: 0)
            series.progressed()
        }
        #expect(series.attempts == 3)
    }
}

import DiskDeltaProtocol
import TestSupport
import Testing

@Suite("Waiting before trying again")
struct BackoffTests {
    @Test("The series of P-94")
    func connecting() {
        var backoff = Backoff(.connecting)
        var waits = (0..<20).map { _ in backoff.next(variation: 0) }
        #expect(
            waits.prefix(4) == [.milliseconds(100), .milliseconds(160), .milliseconds(256), .microseconds(409_600)]
        )
        #expect(waits.suffix(4).allSatisfy { $0 == .seconds(120) })
        #expect(waits == waits.sorted())
        backoff.reset()
        waits = [backoff.next(variation: 0)]
        #expect(waits == [.milliseconds(100)])
        backoff.reset()
        waits = [backoff.next(variation: -1), backoff.next(variation: 1), backoff.next(variation: 0)]
        #expect(waits == [.milliseconds(80), .milliseconds(192), .milliseconds(256)])
    }

    @Test func noVariationLeavesTheFifth() {
        var backoff = Backoff(.connecting)
        for _ in 0..<40 { _ = backoff.next() }
        for _ in 0..<1_000 {
            let wait = backoff.next()
            #expect(wait >= .seconds(96) && wait <= .seconds(144))
        }
        let beyond = [backoff.next(variation: -50), backoff.next(variation: .infinity)]
        #expect(beyond == [.seconds(96), .seconds(144)])
    }

    @Test func aLimitBelowTheFirstWait() {
        let policy = BackoffPolicy(initial: .seconds(5), multiplier: 2, maximum: .seconds(1), jitter: 0)
        var backoff = Backoff(policy)
        let waits = [backoff.next(variation: 1), backoff.next(variation: -1)]
        #expect(waits == [.seconds(1), .seconds(1)])
    }
}

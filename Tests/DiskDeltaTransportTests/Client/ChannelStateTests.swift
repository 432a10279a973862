import DiskDeltaProtocol
import Testing

@testable import DiskDeltaTransport

@Suite("When a channel connects")
struct ChannelStateTests {
    private let start = ContinuousClock.now
    private let refused = CallError(.serverUnavailable, "nobody listens")
    private let channel = Channel()

    private func at(_ milliseconds: Int) -> ContinuousClock.Instant { start + .milliseconds(milliseconds) }

    @Test func theFirstCallConnectsAndTheOthersWait() {
        #expect(channel.callArrives(waitsForReady: false, at: start) == .wait(attempt: start))
        #expect(channel.callArrives(waitsForReady: false, at: start) == .wait(attempt: nil))
        #expect(channel.attemptBegins())
        #expect(channel.phase == .connecting)
        #expect(channel.callArrives(waitsForReady: false, at: at(1)) == .wait(attempt: nil))
        #expect(channel.attemptSucceeded())
        #expect(channel.callArrives(waitsForReady: false, at: at(2)) == .use)
    }

    @Test func afterAFailureCallsFailAtOnceUntilTheNextAttemptIsDue() {
        _ = channel.callArrives(waitsForReady: false, at: start)
        #expect(channel.attemptBegins())
        #expect(channel.attemptFailed(refused, at: at(10), variation: 0) == at(110))
        #expect(channel.callArrives(waitsForReady: false, at: at(109)) == .fail(refused))
        // One that waits has the attempt made when it is due, and not before.
        #expect(channel.callArrives(waitsForReady: true, at: at(20)) == .wait(attempt: at(110)))
        #expect(channel.callArrives(waitsForReady: true, at: at(21)) == .wait(attempt: nil))
        #expect(channel.callArrives(waitsForReady: false, at: at(22)) == .fail(refused))
        #expect(channel.callArrives(waitsForReady: false, at: at(110)) == .wait(attempt: nil))
        #expect(channel.attemptBegins())
        #expect(channel.attemptFailed(refused, at: at(200), variation: 1) == at(200 + 192))
        #expect(channel.callArrives(waitsForReady: false, at: at(392)) == .wait(attempt: at(392)))
    }

    @Test func aConnectionStartsTheSeriesAnew() {
        for _ in 0..<30 {
            _ = channel.callArrives(waitsForReady: true, at: start)
            _ = channel.attemptBegins()
            _ = channel.attemptFailed(refused, at: start, variation: 0)
        }
        #expect(channel.phase == .pausing(until: at(120_000), error: refused))
        #expect(channel.callArrives(waitsForReady: true, at: start) == .wait(attempt: at(120_000)))
        #expect(channel.attemptBegins() && channel.attemptSucceeded())
        channel.connectionEnded(ConnectionEnd(time: at(120_100), isOrderly: false, error: nil), variation: 0)
        #expect(channel.phase == .pausing(until: at(120_200), error: nil))
    }

    @Test func afterAConnectionBrokeEveryCallWaitsAMoment() {
        _ = channel.callArrives(waitsForReady: false, at: start)
        #expect(channel.attemptBegins() && channel.attemptSucceeded())
        channel.connectionEnded(ConnectionEnd(time: at(50), isOrderly: false, error: nil), variation: -1)
        #expect(channel.callArrives(waitsForReady: false, at: at(60)) == .wait(attempt: at(130)))
        #expect(channel.callArrives(waitsForReady: false, at: at(60)) == .wait(attempt: nil))
        // Long after, nothing is left to wait for.
        channel.attemptAbandoned()
        #expect(channel.callArrives(waitsForReady: false, at: at(1_000)) == .wait(attempt: at(1_000)))
    }

    @Test func afterAServerLeftInPeaceThereIsNoPause() {
        _ = channel.callArrives(waitsForReady: false, at: start)
        #expect(channel.attemptBegins() && channel.attemptSucceeded())
        channel.connectionEnded(ConnectionEnd(time: at(50), isOrderly: true, error: nil), variation: 0)
        #expect(channel.phase == .idle)
        #expect(channel.callArrives(waitsForReady: false, at: at(50)) == .wait(attempt: at(50)))
    }

    @Test func anAttemptThatNobodyWaitsForIsNotMade() {
        _ = channel.callArrives(waitsForReady: false, at: start)
        channel.attemptAbandoned()
        #expect(!channel.attemptBegins())
        #expect(channel.phase == .idle)
        #expect(channel.callArrives(waitsForReady: false, at: at(5)) == .wait(attempt: at(5)))
        #expect(channel.attemptBegins())
    }

    @Test func aClosedChannelStaysClosed() {
        _ = channel.callArrives(waitsForReady: false, at: start)
        #expect(channel.attemptBegins())
        channel.close()
        #expect(!channel.attemptSucceeded())
        #expect(channel.attemptFailed(refused, at: start, variation: 0) == nil)
        #expect(!channel.attemptBegins())
        channel.connectionEnded(ConnectionEnd(time: start, isOrderly: true, error: nil), variation: 0)
        guard case .fail(let error) = channel.callArrives(waitsForReady: true, at: start) else {
            Issue.record("a call goes on")
            return
        }
        #expect(error.reason == .cancelled)
    }
}

/// The state, so that a check can change it.
private final class Channel {
    private var state = ChannelState(.connecting)

    var phase: ChannelState.Phase { state.phase }

    func callArrives(waitsForReady: Bool, at now: ContinuousClock.Instant) -> ChannelState.Answer {
        state.callArrives(waitsForReady: waitsForReady, at: now)
    }

    func attemptBegins() -> Bool { state.attemptBegins() }
    func attemptAbandoned() { state.attemptAbandoned() }
    func attemptSucceeded() -> Bool { state.attemptSucceeded() }

    func attemptFailed(
        _ error: CallError,
        at now: ContinuousClock.Instant,
        variation: Double
    ) -> ContinuousClock.Instant? {
        state.attemptFailed(error, at: now, variation: variation)
    }

    func connectionEnded(_ end: ConnectionEnd, variation: Double) {
        state.connectionEnded(end, variation: variation)
    }

    func close() { state.close() }
}

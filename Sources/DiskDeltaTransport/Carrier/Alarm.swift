internal import NIOCore

/// One timer for all that a state machine waits for: it rings at the latest when the machine wants to be told the time.
///
/// Most deadlines move on with every byte that arrives. The timer does not: it rings, finds that there is nothing to do,
/// and is set anew.
final class Alarm {
    private let eventLoop: any EventLoop
    private let ring: () -> Void
    private var time: ContinuousClock.Instant?
    private var timer: Scheduled<Void>?

    /// `ring` is called on the event loop. It should set the alarm again.
    init(on eventLoop: any EventLoop, _ ring: @escaping () -> Void) {
        self.eventLoop = eventLoop
        self.ring = ring
    }

    /// Rings at this time, or before.
    func set(_ deadline: ContinuousClock.Instant?) {
        guard let deadline else { return }
        if let time, time <= deadline { return }
        timer?.cancel()
        time = deadline
        let this = NIOLoopBound(self, eventLoop: eventLoop)
        // A little late rather than a little early: early would mean to come again.
        let delay = TimeAmount(ContinuousClock.now.duration(to: deadline) + .milliseconds(1))
        timer = eventLoop.scheduleTask(in: delay) {
            this.value.time = nil
            this.value.ring()
        }
    }

    func cancel() {
        timer?.cancel()
        timer = nil
        time = nil
    }
}

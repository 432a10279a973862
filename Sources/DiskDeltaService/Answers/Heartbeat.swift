internal import Glibc

/// When a client that waits for ranges is told that the search goes on (P-91).
struct Heartbeat: Sendable {
    /// Less than half of the 10 s of P-91: the stripe under way is finished first, on a medium that may be slow, and a batch
    /// that came no further, because a range went on and on, is not sent and costs a second turn.
    static let usualInterval = Duration.seconds(4)

    private let interval: Duration
    /// The time since a moment that stays the same.
    let now: @Sendable () -> Duration

    init(interval: Duration = usualInterval, now: @escaping @Sendable () -> Duration = coarseTime) {
        self.interval = interval
        self.now = now
    }

    func isDue(since start: Duration) -> Bool { now() - start >= interval }

    /// The time to some milliseconds. It is asked for after each stripe, and costs a fraction of what an exact one does.
    @Sendable private static func coarseTime() -> Duration {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC_COARSE, &time)
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }
}

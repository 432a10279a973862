internal import ChangeQuery
internal import Glibc

/// When a client that waits for ranges is told that the search goes on (P-91), and when the search lets others have a turn.
///
/// It is asked after each stripe of the disk, of which there may be millions in a second: so times are plain nanoseconds here.
struct Heartbeat: Sendable {
    /// Less than half of the 10 s of P-91: the stripe under way is finished first, on a medium that may be slow, and a batch
    /// that came no further, because a range went on and on, is not sent and costs a second turn.
    static let usualInterval: Int64 = 4_000_000_000

    /// How long a search goes on before others have a turn at its thread: long enough that a batch full of ranges is usually
    /// made in one, and so short that a dozen calls ahead of a small one do not keep it waiting for the time of a blink.
    ///
    /// What was found by then is not sent: the batch is gone on with in the next turn. A batch for each turn was measured too:
    /// see Benchmarks/README.md.
    static let turn: Int64 = 4_000_000

    private let interval: Int64
    /// Nanoseconds since a moment that stays the same.
    private let now: @Sendable () -> Int64

    init(interval: Int64 = usualInterval, now: @escaping @Sendable () -> Int64 = coarseTime) {
        self.interval = interval
        self.now = now
    }

    /// When the next batch is due.
    var next: Int64 { now() &+ interval }

    /// When the turn is over that begins now.
    var turnEnd: Int64 { now() &+ Self.turn }

    /// What is wanted of a search now.
    func wish(due: Int64, turnEnd: Int64) -> RangeCursor.Wish {
        let time = now()
        return time >= due ? .batch : time >= turnEnd ? .pause : .goOn
    }

    /// The time to some milliseconds, at a fraction of what an exact one costs.
    @Sendable private static func coarseTime() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC_COARSE, &time)
        return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }
}

internal import ChangeQuery
internal import Glibc

/// When a client that waits for ranges is told that the search goes on (P-91), and when the search lets others have a turn.
///
/// It is asked after each stripe of the disk, of which there may be millions in a second: so times are plain nanoseconds here.
struct Heartbeat: Sendable {
    /// Less than half of the 10 s of P-91: the stripe under way is finished first, on a medium that may be slow, and a batch
    /// that came no further, because a range went on and on, is not sent and costs a second turn.
    static let usualInterval: Int64 = 4_000_000_000

    /// How long a search goes on before others have a turn at its thread: about as long as it takes to find a batch full of
    /// ranges.
    ///
    /// What was found by then is not sent: the batch is gone on with in the next turn. So a search among hundreds sends no more
    /// and no smaller messages than one alone (P-73).
    static let turn: Int64 = 4_000_000

    /// The same for the first turn of a batch that is asked for first: long enough for a small window to be answered whole, so
    /// that of many questions that arrive together the small ones are not behind the first batches of the large.
    static let firstTurn: Int64 = 1_000_000

    private let interval: Int64
    /// Nanoseconds since a moment that stays the same.
    private let now: @Sendable () -> Int64

    init(interval: Int64 = usualInterval, now: @escaping @Sendable () -> Int64 = coarseTime) {
        self.interval = interval
        self.now = now
    }

    /// When a batch is due and when the turn is over that begin now.
    var start: (due: Int64, turnEnd: Int64) {
        let time = now()
        return (time &+ interval, time &+ Self.turn)
    }

    /// When the turn is over that begins now.
    var nextTurnEnd: Int64 { now() &+ Self.turn }

    /// Whether the first turn is over. That is so short that it takes an exact clock.
    struct FirstTurn {
        private let end = Self.exactTime() &+ Heartbeat.firstTurn

        var isOver: Bool { Self.exactTime() >= end }

        private static func exactTime() -> Int64 {
            var time = timespec()
            clock_gettime(CLOCK_MONOTONIC, &time)
            return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
        }
    }

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

internal import DiskDeltaProtocol

/// How many calls a server carries, in all and of each client, and for how long: what decides whether one more is taken up
/// (P-90), and what one that is not is told (P-99).
///
/// A pure value. A call takes a place when it arrives, and another among those of its client once that is known; it gives both
/// back when its service has returned.
struct CallPlaces {
    typealias Instant = ContinuousClock.Instant

    /// What a call is told at least and at most that is to come again later.
    static let retryDelays = 100.0...10_000.0

    private let maximum: Int
    private let maximumPerClient: Int
    private var perClient: [String: Int] = [:]
    /// The calls that have a place among those of a client.
    private var placed = 0
    /// When they took it: the sum, in milliseconds since `origin`.
    private var starts = 0.0
    private let origin: Instant
    /// How long calls took, in milliseconds: each new one counts for a sixteenth.
    private var usualTime = 0.0

    /// The calls that are under way.
    private(set) var count = 0

    init(maximum: Int, maximumPerClient: Int, at now: Instant) {
        self.maximum = maximum
        self.maximumPerClient = maximumPerClient
        origin = now
    }

    /// How many clients have calls under way.
    var clientCount: Int { perClient.count }

    /// Takes a place. False where there is none.
    mutating func take() -> Bool {
        guard count < maximum else { return false }
        count += 1
        return true
    }

    /// Takes a place among those of a client. False where he has none left.
    mutating func take(of client: String, at now: Instant) -> Bool {
        let calls = perClient[client, default: 0]
        guard calls < maximumPerClient else { return false }
        perClient[client] = calls + 1
        placed += 1
        starts += milliseconds(now)
        return true
    }

    /// Gives the place back of a call that is over, and the one that it took of a client at `start`.
    mutating func giveBack(_ taken: (client: String, start: Instant)?, at now: Instant) {
        count -= 1
        guard let (client, start) = taken, let calls = perClient[client] else { return }
        perClient[client] = calls > 1 ? calls - 1 : nil
        placed -= 1
        // What is left of rounding must not add up.
        starts = placed == 0 ? 0 : starts - milliseconds(start)
        usualTime += (milliseconds(now) - milliseconds(start) - usualTime) / 16
    }

    /// After how many milliseconds it is worth making a call again for which there is no place: a quarter of what calls take
    /// now, be they over or not, for by then about a quarter of the places were given back. Between 100 ms and 10 s.
    func retryDelay(at now: Instant) -> UInt32 {
        let age = placed == 0 ? 0 : milliseconds(now) - starts / Double(placed)
        return UInt32(min(max(max(usualTime, age) / 4, Self.retryDelays.lowerBound), Self.retryDelays.upperBound))
    }

    private func milliseconds(_ time: Instant) -> Double { origin.duration(to: time) / .milliseconds(1) }
}

/// When a connection has lived long enough: it is old, or has had no stream for too long. P-88 of `Docs/Protocol.md`.
struct Lifetime: Sendable {
    private let idle: Duration?
    private let end: ContinuousClock.Instant?
    private var idleSince: ContinuousClock.Instant?

    /// - Parameters:
    ///   - idle: How long it may have no stream; nil: as long as it likes.
    ///   - age: How long it may last; nil: as long as it likes.
    init(idle: Duration?, age: Duration?, at now: ContinuousClock.Instant) {
        self.idle = idle
        end = age.map { now + $0 }
        idleSince = now
    }

    /// There is a stream.
    mutating func work() {
        idleSince = nil
    }

    /// There is no stream any more.
    mutating func rest(at now: ContinuousClock.Instant) {
        idleSince = now
    }

    var deadline: ContinuousClock.Instant? {
        .earlier(end, idleEnd)
    }

    /// Why the connection should end, for a person; nil where it should not.
    func verdict(at now: ContinuousClock.Instant) -> String? {
        if let end, end <= now { return "the connection is old" }
        if let idleEnd, idleEnd <= now { return "the connection is idle" }
        return nil
    }

    private var idleEnd: ContinuousClock.Instant? {
        guard let idle, let idleSince else { return nil }
        return idleSince + idle
    }
}

extension Optional<ContinuousClock.Instant> {
    /// The earlier of two times, of which each may never come.
    static func earlier(_ first: Self, _ second: Self) -> Self {
        guard let first, let second else { return first ?? second }
        return min(first, second)
    }
}

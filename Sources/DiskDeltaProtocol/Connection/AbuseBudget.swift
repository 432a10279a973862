/// How often something that costs the peer little and this side much may happen: a number of times in a span of time.
struct AbuseBudget: Sendable {
    private let limit: Int
    private let span: Duration
    private var spent = 0
    private var start: ContinuousClock.Instant?

    init(limit: Int = 200, per span: Duration = .seconds(30)) {
        self.limit = limit
        self.span = span
    }

    /// Counts one more. Throws where that is too many.
    mutating func spend(at now: ContinuousClock.Instant, on what: String) throws(ProtocolError) {
        if start.map({ $0.duration(to: now) >= span }) ?? true {
            start = now
            spent = 0
        }
        spent += 1
        guard spent <= limit else {
            throw ProtocolError(.excessiveLoad, "More than \(limit) \(what) within \(span).")
        }
    }
}

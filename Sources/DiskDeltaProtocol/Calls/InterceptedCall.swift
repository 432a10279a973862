/// One call as the interceptors of its server see it, and what is counted for them.
///
/// A pure value that is told what happens. Whoever carries the call holds one from its arrival to its end.
public struct InterceptedCall: Sendable {
    public let path: String
    public let method: MethodDescriptor?
    public private(set) var context: CallContext

    private let interceptors: [any ServerInterceptor]
    /// How many of the interceptors have let the call begin.
    private var begun = 0
    private let start: ContinuousClock.Instant
    private var counts = CallCounts()
    private var told: CallError??

    /// A call that has arrived.
    public init(
        path: String,
        method: MethodDescriptor?,
        context: CallContext,
        interceptors: [any ServerInterceptor],
        at now: ContinuousClock.Instant
    ) {
        self.path = path
        self.method = method
        self.context = context
        self.interceptors = interceptors
        start = now
    }

    /// Asks the interceptors whether it may begin. Afterwards ``context`` is what they made of it.
    public mutating func begin() throws(CallError) {
        while begun < interceptors.count {
            try interceptors[begun].begin(path: path, method: method, context: &context)
            begun += 1
        }
    }

    /// A message was sent.
    public mutating func sent(bytes: Int, at now: ContinuousClock.Instant) {
        if counts.messages == 0 { counts.timeToFirstMessage = now - start }
        if counts.messages == 1 { counts.timeToSecondMessage = now - start }
        counts.messages &+= 1
        counts.bytes &+= UInt64(clamping: bytes)
    }

    /// The caller was told how it ended; nil is success. What it is told first counts.
    public mutating func tell(_ error: CallError?) {
        if told == nil { told = .some(error) }
    }

    /// It is over: tells the interceptors.
    ///
    /// - Parameters:
    ///   - error: why it ended, unless the caller was told something else before; nil is success.
    ///   - ranges: how many ranges were found.
    public mutating func end(_ error: CallError?, ranges: UInt64, at now: ContinuousClock.Instant) {
        counts.ranges = ranges
        counts.duration = now - start
        let record = CallRecord(
            path: path,
            method: method,
            context: context,
            error: told ?? error,
            counts: counts
        )
        while begun > 0 {
            begun -= 1
            interceptors[begun].end(record)
        }
    }
}

/// A call that a service answers, as whoever carries the answer sees it: pull messages until there are no more, then send
/// the details.
///
/// It is used by the one task that opened it.
public final class ServerCall {
    public let method: MethodDescriptor
    private let stream: any ResponseStream

    init(method: MethodDescriptor, _ stream: any ResponseStream) {
        self.method = method
        self.stream = stream
    }

    /// The next message, or nil when the answer is complete.
    public func next() async throws(CallError) -> (any Message)? {
        try await stream.next()
    }

    /// How many ranges were found, of an answer that has any; at any time.
    public var rangesSoFar: UInt64 { stream.rangeCount }

    /// The position that the messages made so far reach, for an answer about ranges.
    public var resumeOffset: UInt64? { stream.resumeOffset }

    /// What goes with status OK, once `next()` has returned nil.
    public var details: StatusDetails {
        StatusDetails(success: stream.totals, resumeOffset: stream.resumeOffset)
    }
}

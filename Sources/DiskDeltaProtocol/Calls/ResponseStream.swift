/// An answer that is pulled message by message by whoever carries it to the caller.
///
/// Nothing is computed before it is asked for: a caller that reads slowly stops the pull. A stream is used by one task at
/// a time and need not be `Sendable`.
public protocol ResponseStream<Response>: AnyObject {
    associatedtype Response: Message

    /// The next message, or nil when the answer is complete.
    func next() async throws(CallError) -> Response?

    /// The sum of the answer. After `next()` returned nil it travels in the END frame; before, it is what there is so far.
    var totals: AnswerTotals? { get }

    /// How many ranges were found, of an answer that has any; at any time.
    var rangeCount: UInt64 { get }

    /// For an answer about ranges, the position that the messages made so far reach: the end of the window when the answer
    /// is complete. It is asked for after each message.
    var resumeOffset: UInt64? { get }
}

/// An answer that is not about ranges has neither.
extension ResponseStream {
    public var totals: AnswerTotals? { nil }
    public var rangeCount: UInt64 { totals?.ranges ?? 0 }
    public var resumeOffset: UInt64? { nil }
}

/// The answer of a unary method: one message.
final class SingleResponse<Response: Message>: ResponseStream {
    private var response: Response?

    init(_ response: Response) {
        self.response = response
    }

    func next() async throws(CallError) -> Response? {
        defer { response = nil }
        return response
    }
}

public import DiskDeltaProtocol

/// A range answer as it arrives: a sequence of checked batches that ends only when the answer is complete.
///
/// The sequence is read once, by one task at a time. It ends without an error only after the server said that the answer is
/// complete and every total agreed with what was received; every other end throws. Leaving it early cancels the call.
///
/// Where the connection breaks, the answer is asked for again from where it broke, as ``RangeOptions`` says; the sequence goes
/// on as if nothing had happened. A batch without ranges tells that the server has come further and found nothing.
public final class RangeStream: AsyncSequence, Sendable {
    public typealias Element = RangeBatch
    public typealias Failure = CallError

    /// What the answer is about.
    public let header: AnswerHeader

    private let reader: AnswerReader<AnswerCheck>

    /// Asks a question, and waits for the header of its answer.
    init(_ question: RangeQuestion, options: CallOptions, _ ranges: RangeOptions) async throws(CallError) {
        reader = AnswerReader(AnswerCheck(question.expectation), options, ranges, question.ask)
        try await reader.begin()
        guard let header = await reader.answer.header else {
            throw CallError(.answerInvalid, "The server's answer breaks rule P-60: it has no header")
        }
        self.header = header
    }

    deinit {
        reader.cancel()
    }

    /// Ends the call, if it has not ended. May be called from any task.
    public func cancel() {
        reader.cancel()
    }

    /// The first byte that no batch has answered for: where to ask again if the answer broke.
    public var position: UInt64 {
        get async { await reader.answer.position }
    }

    /// How often it was tried to resume the answer, so far. The batches do not tell: they are those of an answer that never
    /// broke.
    public var resumeAttempts: Int {
        get async { await reader.resumeAttempts }
    }

    /// The sum of the answer; nil until the sequence has ended without an error.
    public var totals: AnswerTotals? {
        get async { await reader.isComplete ? reader.answer.allTotals : nil }
    }

    public func makeAsyncIterator() -> Iterator {
        Iterator(stream: self)
    }

    public struct Iterator: AsyncIteratorProtocol {
        // It holds the stream, so that the call is not cancelled while somebody still reads.
        private let stream: RangeStream

        fileprivate init(stream: RangeStream) {
            self.stream = stream
        }

        public mutating func next() async throws(CallError) -> RangeBatch? {
            try await stream.reader.next()
        }

        public mutating func next(isolation actor: isolated (any Actor)?) async throws(CallError) -> RangeBatch? {
            try await stream.reader.next()
        }
    }

    /// The ranges one by one. Convenient, and slower than going through the batches.
    public var ranges: Ranges { Ranges(stream: self) }

    public struct Ranges: AsyncSequence, Sendable {
        public typealias Element = ChangedRange
        public typealias Failure = CallError

        fileprivate let stream: RangeStream

        public func makeAsyncIterator() -> Iterator {
            Iterator(batches: stream.makeAsyncIterator())
        }

        public struct Iterator: AsyncIteratorProtocol {
            private var batches: RangeStream.Iterator
            private var current: [ChangedRange] = []
            private var index = 0

            fileprivate init(batches: RangeStream.Iterator) {
                self.batches = batches
            }

            public mutating func next() async throws(CallError) -> ChangedRange? {
                try await next(isolation: #isolation)
            }

            public mutating func next(isolation actor: isolated (any Actor)?) async throws(CallError) -> ChangedRange? {
                while index == current.count {
                    guard let batch = try await batches.next(isolation: actor) else { return nil }
                    current = batch.ranges
                    index = 0
                }
                defer { index += 1 }
                return current[index]
            }
        }
    }
}

public import DiskDeltaProtocol
internal import Synchronization

/// A range answer as it arrives: a sequence of checked batches that ends only when the answer is complete.
///
/// It ends without an error only after the server said that the answer is complete and every total agreed with what was
/// received; every other end throws. Where the connection breaks, the answer is asked for again from where it broke, as
/// ``RangeOptions`` says; the sequence goes on as if nothing had happened. A batch without ranges tells that the server has come
/// further and found nothing.
///
/// # One place
///
/// The answer is read once. Its place in it is one for all loops, over the batches and over the ``ranges``:
///
/// - A loop that was left is gone on with by the next, exactly where it stopped. Nothing is lost, and nothing told twice.
/// - The end is told once. A loop that is begun after it throws INVALID_PARAMETER: nothing, and no error, would look like an
///   answer without ranges. After a failure each throws the same error again.
/// - One task reads at a time. Another that reads while the first waits for the server gets INVALID_PARAMETER, and takes nothing
///   from the first.
/// - A task that is cancelled gets CANCELLED at once, whatever has arrived already, and the answer has failed of it.
///
/// A stream that is let go before its end cancels the call.
public final class RangeStream: AsyncSequence, Sendable {
    public typealias Element = RangeBatch
    public typealias Failure = CallError

    /// What the answer is about.
    public let header: AnswerHeader

    private let reader: AnswerReader<AnswerCheck>
    /// The batch that is read range by range, where one is.
    private let unread = Mutex<UnreadRanges?>(nil)

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

    /// Ends the call, if it has not ended: what was not read yet is not told. May be called from any task.
    public func cancel() {
        reader.cancel()
    }

    /// The first byte that nothing which was read has answered for: where to ask again if the answer broke, or a loop was left.
    /// After a single range it is the end of that.
    public var position: UInt64 {
        get async {
            let position = await reader.answer.position
            return unread.withLock { $0?.position } ?? position
        }
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

    // MARK: Reading

    /// The next batch, or what loops over single ranges have left of one.
    fileprivate func nextBatch() async throws(CallError) -> RangeBatch? {
        try await reader.reading { () async throws(CallError) -> RangeBatch? in
            if !reader.isCancelled, let rest = unread.withLock({ $0.take() })?.rest { return rest }
            return try await receive()
        }
    }

    /// The next range, where the batch that it is in has arrived.
    fileprivate func takeRange() -> ChangedRange? {
        guard !reader.isCancelled else { return nil }
        return unread.withLock { unread in
            let range = unread?.popFirst()
            if range == nil { unread = nil }
            return range
        }
    }

    fileprivate func nextRange() async throws(CallError) -> ChangedRange? {
        try await reader.reading { () async throws(CallError) -> ChangedRange? in
            while true {
                if let range = takeRange() { return range }
                guard let batch = try await receive() else { return nil }
                unread.withLock { $0 = UnreadRanges(batch) }
            }
        }
    }

    /// The next batch from the server.
    private func receive() async throws(CallError) -> RangeBatch? {
        do throws(CallError) {
            return try await reader.next()
        } catch {
            // What is left of a batch was not read: the answer goes on before it.
            var error = error
            error.resumeOffset = unread.withLock { $0?.position } ?? error.resumeOffset
            throw error
        }
    }

    /// Goes on where the last loop stopped.
    public func makeAsyncIterator() -> Iterator {
        Iterator(stream: self)
    }

    public struct Iterator: AsyncIteratorProtocol {
        // It holds the stream, so that the call is not cancelled while somebody still reads.
        private let stream: RangeStream
        private var hasEnded = false

        fileprivate init(stream: RangeStream) {
            self.stream = stream
        }

        public mutating func next() async throws(CallError) -> RangeBatch? {
            try await next(isolation: #isolation)
        }

        public mutating func next(isolation actor: isolated (any Actor)?) async throws(CallError) -> RangeBatch? {
            guard !hasEnded else { return nil }
            let batch = try await stream.nextBatch()
            hasEnded = batch == nil
            return batch
        }
    }

    /// The ranges one by one. Convenient, and slower than going through the batches. It has the same place as these: what a loop
    /// leaves of a batch, the next is told, be it over ranges or over batches.
    public var ranges: Ranges { Ranges(stream: self) }

    public struct Ranges: AsyncSequence, Sendable {
        public typealias Element = ChangedRange
        public typealias Failure = CallError

        fileprivate let stream: RangeStream

        /// Goes on where the last loop stopped.
        public func makeAsyncIterator() -> Iterator {
            Iterator(stream: stream)
        }

        public struct Iterator: AsyncIteratorProtocol {
            private let stream: RangeStream
            private var hasEnded = false

            fileprivate init(stream: RangeStream) {
                self.stream = stream
            }

            public mutating func next() async throws(CallError) -> ChangedRange? {
                try await next(isolation: #isolation)
            }

            public mutating func next(isolation actor: isolated (any Actor)?) async throws(CallError) -> ChangedRange? {
                guard !hasEnded else { return nil }
                if let range = stream.takeRange() { return range }
                let range = try await stream.nextRange()
                hasEnded = range == nil
                return range
            }
        }
    }
}

public import DiskDeltaProtocol

/// The answers about many disks as they arrive, interleaved: a sequence of what is told about one disk after the other.
///
/// Each disk has exactly one end in it, whatever happens: complete, or an error. The failure of one disk is none of the others.
/// The sequence itself throws where the call as a whole has failed, after it has told the disks that were not complete.
///
/// It is read once, and its place is one for all loops, as that of a ``RangeStream``: a loop that was left is gone on with by the
/// next, one that is begun after the end throws INVALID_PARAMETER, one after a failure the same error again. One task reads at a
/// time; one that is cancelled is told the end of each disk that had none, and gets CANCELLED.
///
/// Where the connection breaks, the disks without an end are asked about again, each from where it broke, as ``RangeOptions``
/// says; the sequence goes on as if nothing had happened. A stream that is let go before its end cancels the call. Its memory
/// does not grow with the answers: one batch, and some hundred bytes for each disk.
public final class ManyRangeStream: AsyncSequence, Sendable {
    public typealias Element = DiskMessage
    public typealias Failure = CallError

    private let reader: AnswerReader<ManyAnswersCheck>

    /// Asks about all of `requests`, and waits for the first message of the answer.
    init(
        _ requests: [GetVirtualDiskChangesRequest],
        _ images: ImageManagementClient,
        options: CallOptions,
        _ ranges: RangeOptions
    ) async throws(CallError) {
        let questions = requests.map { AnswerExpectation($0) }
        reader = AnswerReader(ManyAnswersCheck(questions), options, ranges) { (rest, options) async throws(CallError) in
            let asked = rest.map { rest in rest.map { requests[$0.disk].asked(for: $0.part) } } ?? requests
            return try await images.getVirtualDiskChangesBatch(
                GetVirtualDiskChangesBatchRequest(disks: asked),
                options: options
            )
        }
        try await reader.begin()
    }

    deinit {
        reader.cancel()
    }

    /// Ends the call, if it has not ended. May be called from any task.
    public func cancel() {
        reader.cancel()
    }

    /// The first byte of a disk that no batch has answered for; nil where the question has no such disk.
    public func position(of disk: Int) async -> UInt64? {
        await reader.answer.position(of: disk)
    }

    /// How often it was tried to resume the answer, so far.
    public var resumeAttempts: Int {
        get async { await reader.resumeAttempts }
    }

    /// Goes on where the last loop stopped.
    public func makeAsyncIterator() -> Iterator {
        Iterator(stream: self)
    }

    public struct Iterator: AsyncIteratorProtocol {
        // It holds the stream, so that the call is not cancelled while somebody still reads.
        private let stream: ManyRangeStream
        private var hasEnded = false

        fileprivate init(stream: ManyRangeStream) {
            self.stream = stream
        }

        public mutating func next() async throws(CallError) -> DiskMessage? {
            try await next(isolation: #isolation)
        }

        public mutating func next(isolation actor: isolated (any Actor)?) async throws(CallError) -> DiskMessage? {
            guard !hasEnded else { return nil }
            let message = try await stream.next()
            hasEnded = message == nil
            return message
        }
    }

    fileprivate func next() async throws(CallError) -> DiskMessage? {
        try await reader.reading { () async throws(CallError) -> DiskMessage? in try await reader.next() }
    }
}

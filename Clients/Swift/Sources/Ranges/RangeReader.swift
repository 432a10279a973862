internal import DiskDeltaProtocol

/// Pulls the messages of one range answer through its check.
actor RangeReader {
    private let call: TypedCall<RangeAnswer>
    private var check: AnswerCheck
    /// How the answer ended: nil while it has not, an error that is thrown again at every further read.
    private var end: Result<Void, CallError>?

    init(_ call: TypedCall<RangeAnswer>, expecting expectation: AnswerCheck.Expectation) {
        self.call = call
        check = AnswerCheck(expectation)
    }

    var position: UInt64 { check.position }

    /// The totals, once they have been proved.
    var provenTotals: AnswerTotals? {
        guard case .success? = end, let header = check.header else { return nil }
        var totals = check.totals
        totals.processed = header.windowLength
        totals.bytes = totals.dataBytes + totals.zeroBytes
        return totals
    }

    func readHeader() async throws(CallError) -> AnswerHeader {
        if try await next() != nil || check.header == nil {
            throw fail(
                CallError(.answerInvalid, "The server's answer breaks rule P-60: it does not start with a header")
            )
        }
        guard let header = check.header else { throw fail(CallError(.internal, "The header was lost")) }
        return header
    }

    /// The next batch; nil when the answer is complete; nil too, once, for the header.
    func next() async throws(CallError) -> RangeBatch? {
        if let end {
            try end.get()
            return nil
        }
        let message: RangeAnswer?
        do throws(CallError) {
            message = try await call.next()
        } catch {
            throw fail(broken(error))
        }
        do throws(CallError) {
            guard let message else {
                try check.finish(call.details)
                end = .success(())
                return nil
            }
            return try check.receive(message)
        } catch {
            throw fail(error)
        }
    }

    nonisolated func cancel() {
        call.cancel()
    }

    private func fail(_ error: CallError) -> CallError {
        end = .failure(error)
        call.cancel()
        return error
    }

    /// An error of the call, told with what this client itself knows: how far the answer had come.
    private func broken(_ error: CallError) -> CallError {
        var error = error
        if check.header != nil, error.reason == .serverUnavailable {
            error = CallError(
                .answerIncomplete,
                "The connection broke before the answer was complete: \(error.message)"
            )
        }
        error.resumeOffset = check.position
        return error
    }
}

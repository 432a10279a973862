public import DiskDeltaProtocol

extension DiskDeltaClient {
    /// How much of a disk changed since a baseline: the sums of the answer that ``changes(_:options:)`` would get, without its
    /// ranges.
    ///
    /// - Throws: what ``changes(_:options:)`` would; ANSWER_INVALID where the sums contradict each other or the question.
    public func changesSummary(
        _ request: GetVirtualDiskChangesRequest,
        options: CallOptions = CallOptions()
    ) async throws(CallError) -> ChangesSummary {
        let summary = try await images.getVirtualDiskChangesSummary(request, options: options)
        try summary.check(AnswerExpectation(request))
        return summary
    }

    /// How much of a disk holds data.
    ///
    /// - Throws: what ``allocation(_:options:)`` would; ANSWER_INVALID where the sums contradict each other or the question.
    public func allocationSummary(
        _ request: GetVirtualDiskAllocationRequest,
        options: CallOptions = CallOptions()
    ) async throws(CallError) -> ChangesSummary {
        let summary = try await images.getVirtualDiskAllocationSummary(request, options: options)
        try summary.check(AnswerExpectation(request))
        return summary
    }
}

extension ChangesSummary {
    /// Holds the header against the question, and the sums against each other.
    func check(_ question: AnswerExpectation) throws(CallError) {
        guard let header else { throw Self.invalid("it has no header") }
        var check = AnswerCheck(question)
        _ = try check.receive(RangeAnswer(part: .header(header)))
        let (sum, overflow) = dataBytes.addingReportingOverflow(zeroBytes)
        guard !overflow, bytes == sum, bytes <= header.windowLength, ranges <= bytes, largest <= bytes,
            (ranges == 0) == (bytes == 0), (largest == 0) == (bytes == 0), ranges != 1 || largest == bytes
        else { throw Self.invalid("its sums contradict each other") }
    }

    private static func invalid(_ what: String) -> CallError {
        CallError(.answerInvalid, "The server's summary breaks rule P-105: \(what)")
    }
}

internal import DiskDeltaProtocol

/// A question about ranges that can be asked again for the rest of its window.
struct RangeQuestion: Sendable {
    /// The rest of a window that is asked for (P-77).
    struct Part: Sendable {
        var offset: UInt64
        var length: UInt64
        var epoch: String
    }

    /// Nil for the whole question, as the caller asked it.
    typealias Ask = @Sendable (Part?, CallOptions) async throws(CallError) -> TypedCall<RangeAnswer>

    /// What the answer must be about.
    let expectation: AnswerExpectation
    let ask: Ask

    init(_ expectation: AnswerExpectation, _ ask: @escaping Ask) {
        self.expectation = expectation
        self.ask = ask
    }
}

extension GetVirtualDiskChangesRequest {
    /// The same question about the rest of its window; about all of it where `part` is nil.
    func asked(for part: RangeQuestion.Part?) -> GetVirtualDiskChangesRequest {
        guard let part else { return self }
        var request = self
        request.byteOffset = part.offset
        request.byteLength = part.length
        request.ifEpoch = part.epoch
        return request
    }
}

extension GetVirtualDiskAllocationRequest {
    /// The same question about the rest of its window; about all of it where `part` is nil.
    func asked(for part: RangeQuestion.Part?) -> GetVirtualDiskAllocationRequest {
        guard let part else { return self }
        var request = self
        request.byteOffset = part.offset
        request.byteLength = part.length
        request.ifEpoch = part.epoch
        return request
    }
}

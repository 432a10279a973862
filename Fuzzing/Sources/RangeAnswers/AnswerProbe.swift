public import DiskDeltaProtocol

/// The check of a range answer, for whoever stands outside of this module.
public struct AnswerProbe {
    private var check: AnswerCheck

    public init(_ request: GetVirtualDiskChangesRequest) {
        check = AnswerCheck(AnswerExpectation(request))
    }

    public init(_ request: GetVirtualDiskAllocationRequest) {
        check = AnswerCheck(AnswerExpectation(request))
    }

    public init(_ request: JobResultsRequest) {
        check = AnswerCheck(AnswerExpectation(request))
    }

    public var header: AnswerHeader? { check.header }
    public var position: UInt64 { check.position }

    public mutating func receive(_ message: RangeAnswer) throws(CallError) -> RangeBatch? {
        try check.receive(message)
    }

    public func finish(_ details: StatusDetails) throws(CallError) {
        try check.finish(details)
    }
}

import DiskDeltaProtocol
import Testing

@Suite struct CallErrorTests {
    @Test(arguments: Reason.all.filter { $0 != Reason.none })
    func anErrorComesBackFromItsEnd(reason: Reason) {
        for resumeOffset in [nil, 512, UInt64.max] {
            let error = CallError(reason, "a sentence", resumeOffset: resumeOffset)
            let details = StatusDetails(error)
            #expect(details.returnValue == reason.returnValue)
            #expect(details.detailCode == reason.detailCode)
            #expect(CallError(status: error.status, text: error.message, details: details) == error)
        }
    }

    @Test func anEndWithoutDetailsIsExplainedByItsStatus() {
        for status in Status.all where status != .ok {
            let error = CallError(status: status, text: "", details: StatusDetails())
            #expect(error.status == status)
            #expect(error.reason != Reason.none)
            #expect(!error.message.isEmpty)
            #expect(error.resumeOffset == nil)
        }
        #expect(Reason(status: .unavailable) == .serverUnavailable)
        #expect(Reason(status: .deadlineExceeded) == .deadline)
        #expect(Reason(status: Status(rawValue: 99)) == .internal)
    }

    @Test func anErrorIsNeverTakenForSuccess() {
        let error = CallError(status: .ok, text: "", details: StatusDetails(reason: .epochChanged))
        #expect(error.status == .aborted)
        #expect(CallError(status: .ok, text: "", details: StatusDetails()).status != .ok)
    }

    @Test func aReasonOfTheFutureKeepsItsNumberAndStatus() {
        let details = StatusDetails(reason: Reason(rawValue: 500), detailCode: 7)
        let error = CallError(status: .notFound, text: "no such thing", details: details)
        #expect(error.reason.rawValue == 500)
        #expect(error.status == .notFound)
        #expect(error.detailCode == 7)
        #expect(error.description == "500: no such thing")
    }

    @Test func successCarriesTheTotals() {
        let totals = AnswerTotals(processed: 10, ranges: 1, bytes: 2, dataBytes: 1, zeroBytes: 1)
        let details = StatusDetails(success: totals, resumeOffset: 10)
        #expect(details == StatusDetails(resumeOffset: 10, totals: totals))
        #expect(StatusDetails(success: nil) == StatusDetails())
    }
}

import DiskDeltaProtocol
import Testing

@Suite struct ReasonTests {
    @Test func theTableIsTheSchemas() {
        #expect(Reason.fileNotFound.rawValue == 1)
        #expect(Reason.fileNotFound.name == "FILE_NOT_FOUND")
        #expect(Reason.fileNotFound.status == .notFound)
        #expect(Reason.fileNotFound.returnValue == 32779)
        #expect(Reason.fileNotFound.detailCode == 0)
        #expect(Reason.fileNotFound.exitCode == 3)
        #expect(Reason.fileNotFound.summary == "The disk, or a file it names, does not exist.")
        #expect(Reason.trackingDisabled.detailCode == 0xC03A_002A)
        #expect(Reason.cancelled.exitCode == 130)
    }

    @Test func everyReasonSaysSomethingToEveryKindOfCaller() {
        #expect(Reason.all.count == 32)
        #expect(Set(Reason.all.map(\.rawValue)) == Set(0..<32))
        #expect(Set(Reason.all.map(\.summary)).count == 32)
        for reason in Reason.all where reason != Reason.none {
            #expect(reason.status != .ok)
            #expect(reason.returnValue != 0)
            #expect(reason.exitCode != 0)
            #expect(Reason(name: reason.name) == reason)
        }
    }

    @Test func noReasonMeansSuccess() {
        #expect(Reason.none.status == .ok)
        #expect(Reason.none.returnValue == 0)
        #expect(Reason.none.exitCode == 0)
    }

    @Test func aReasonOfTheFutureIsAFailure() throws {
        let details = try StatusDetails(decoding: try StatusDetails(reason: Reason(rawValue: 9999)).encode())
        #expect(details.reason.rawValue == 9999)
        #expect(details.reason.name == "9999")
        #expect(details.reason.status == .unknown)
        #expect(details.reason.returnValue == 32768)
        #expect(details.reason.exitCode == 1)
        #expect(Reason(name: "9999") == nil)
    }

    @Test func statusesHaveGRPCsNumbersAndNames() {
        #expect(Status.all.map(\.rawValue) == Array(0...16))
        #expect(Status.unauthenticated.rawValue == 16)
        #expect(Status.deadlineExceeded.name == "DEADLINE_EXCEEDED")
    }
}

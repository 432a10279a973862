import DiskDeltaProtocol
import Synchronization
import Testing

@Suite("One call as interceptors see it")
struct InterceptedCallTests {
    /// Writes down what it sees, gives the caller a name, and may refuse.
    private final class Recorder: ServerInterceptor {
        let name: String
        let refuses: Bool
        let record = Mutex<CallRecord?>(nil)
        let begins = Mutex(0)

        /// What it was told at the end.
        var seen: CallRecord? { record.withLock { $0 } }

        init(_ name: String, refuses: Bool = false) {
            self.name = name
            self.refuses = refuses
        }

        func begin(path: String, method: MethodDescriptor?, context: inout CallContext) throws(CallError) {
            begins.withLock { $0 += 1 }
            context.identity += name
            if refuses { throw CallError(.unauthenticated, "not \(name)") }
        }

        func end(_ record: CallRecord) {
            self.record.withLock { $0 = record }
        }
    }

    private let start = ContinuousClock.now

    private func call(_ interceptors: [any ServerInterceptor]) -> InterceptedCall {
        InterceptedCall(path: "a.B/C", method: nil, context: CallContext(), interceptors: interceptors, at: start)
    }

    @Test("Messages are counted, and the time to the first of them and to the end")
    func counts() throws {
        let recorder = Recorder("x")
        var call = call([recorder])
        try call.begin()
        #expect(call.context.identity == "x")
        call.context.notes.disk = "vms/a.vhdx"
        call.sent(bytes: 10, at: start + .milliseconds(5))
        call.sent(bytes: 0, at: start + .milliseconds(7))
        call.end(nil, ranges: 3, at: start + .milliseconds(9))
        let record = try #require(recorder.seen)
        var counts = CallCounts()
        counts.messages = 2
        counts.bytes = 10
        counts.ranges = 3
        counts.timeToFirstMessage = .milliseconds(5)
        counts.timeToSecondMessage = .milliseconds(7)
        counts.duration = .milliseconds(9)
        #expect(record.counts == counts)
        #expect(record.status == .ok)
        #expect(record.reason == .none)
        #expect(record.path == "a.B/C")
        #expect(record.context.notes.disk == "vms/a.vhdx")
    }

    @Test("What the caller was told first counts")
    func told() throws {
        let deadline = CallError(.deadline, "late")
        let cancelled = CallError(.cancelled, "stopped")
        for (told, end, expected) in [
            ([deadline], cancelled, deadline), ([nil, deadline], cancelled, nil), ([], cancelled, cancelled),
        ] as [([CallError?], CallError?, CallError?)] {
            let recorder = Recorder("x")
            var call = call([recorder])
            try call.begin()
            for error in told { call.tell(error) }
            call.end(end, ranges: 0, at: start)
            let record = try #require(recorder.seen)
            #expect(record.error == expected)
        }
    }

    @Test("After a refusal those before it are told, and those behind it hear nothing")
    func refusal() throws {
        let recorders = [Recorder("a"), Recorder("b", refuses: true), Recorder("c")]
        var call = call(recorders)
        let error = #expect(throws: CallError.self) { try call.begin() }
        call.end(error, ranges: 0, at: start)
        #expect(recorders.map { $0.begins.withLock { $0 } } == [1, 1, 0])
        let records = recorders.map(\.seen)
        #expect(records.map { $0 != nil } == [true, false, false])
        #expect(records[0]?.reason == .unauthenticated)
        #expect(records[0]?.context.identity == "ab")
    }

    @Test("It ends once")
    func endsOnce() throws {
        let recorder = Recorder("x")
        var call = call([recorder])
        try call.begin()
        call.end(nil, ranges: 1, at: start)
        recorder.record.withLock { $0 = nil }
        call.end(nil, ranges: 2, at: start)
        let isToldAgain = recorder.seen != nil
        #expect(!isToldAgain)
    }
}

import DiskDeltaProtocol
import Synchronization
import Testing

/// A unary answer is exactly one message and then the end.
@Suite struct UnaryCallTests {
    /// An other side that answers with what the test says.
    private final class Call: OutstandingCall {
        private let answers: Mutex<[Result<VirtualHardDiskState, CallError>]>
        let isCancelled = Mutex(false)

        init(_ answers: [Result<VirtualHardDiskState, CallError>]) {
            self.answers = Mutex(answers)
        }

        func next<Response: Message>(_ type: Response.Type) async throws(CallError) -> Response? {
            let answer = answers.withLock { $0.isEmpty ? nil : $0.removeFirst() }
            return try answer?.get() as? Response
        }

        var details: StatusDetails { StatusDetails() }

        func cancel() {
            isCancelled.withLock { $0 = true }
        }
    }

    private struct Invoker: CallInvoker {
        let call: Call

        func open(
            _ method: MethodDescriptor,
            request: some Message,
            options: CallOptions
        ) async throws(CallError) -> any OutstandingCall { call }
    }

    private func state(_ call: Call) async throws(CallError) -> VirtualHardDiskState {
        try await ImageManagementClient(Invoker(call: call)).getVirtualHardDiskState(VirtualHardDiskRequest())
    }

    @Test func oneMessageIsTheAnswer() async throws {
        let call = Call([.success(VirtualHardDiskState(fileSize: 5))])
        #expect(try await state(call).fileSize == 5)
        #expect(!call.isCancelled.withLock { $0 })
    }

    @Test func noMessageIsInvalid() async {
        let error = await #expect(throws: CallError.self) { try await state(Call([])) }
        #expect(error?.reason == .answerInvalid)
    }

    @Test func aSecondMessageIsInvalidAndEndsTheCall() async {
        let call = Call([.success(VirtualHardDiskState(fileSize: 5)), .success(VirtualHardDiskState(fileSize: 5))])
        let error = await #expect(throws: CallError.self) { try await state(call) }
        #expect(error?.reason == .answerInvalid)
        #expect(call.isCancelled.withLock { $0 })
    }

    @Test func aMessageWithoutTheEndIsNoAnswer() async {
        let broken = CallError(.answerIncomplete, "the connection broke")
        let call = Call([.success(VirtualHardDiskState(fileSize: 5)), .failure(broken)])
        await #expect(throws: broken) { try await state(call) }
    }
}

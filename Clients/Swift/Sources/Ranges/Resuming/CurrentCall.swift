internal import DiskDeltaProtocol
internal import Synchronization

/// The call that carries an answer at the moment, and the task that puts another in its place. Either can be cancelled from
/// any task.
final class CurrentCall<Message: DiskDeltaProtocol.Message>: Sendable {
    private struct State {
        var call: TypedCall<Message>?
        var isCancelled = false
        var resumption: Task<Result<Void, CallError>, Never>?
    }

    private let state = Mutex(State())

    /// The call, which there is once ``set(_:)`` was called.
    func get() throws(CallError) -> TypedCall<Message> {
        guard let call = state.withLock(\.call) else { throw CallError(.cancelled, "the call was cancelled") }
        return call
    }

    func set(_ call: TypedCall<Message>) {
        let (old, isCancelled) = state.withLock { state in
            defer { state.call = call }
            return (state.call, state.isCancelled)
        }
        old?.cancel()
        if isCancelled { call.cancel() }
    }

    var isCancelled: Bool { state.withLock(\.isCancelled) }

    /// Runs `body` in a task that ``cancel()`` reaches, and so does a cancellation of the caller's.
    func resuming(_ body: @escaping @Sendable () async throws(CallError) -> Void) async throws(CallError) {
        let task = Task { () async -> Result<Void, CallError> in
            do throws(CallError) {
                return .success(try await body())
            } catch {
                return .failure(error)
            }
        }
        let isCancelled = state.withLock { state in
            state.resumption = task
            return state.isCancelled
        }
        if isCancelled { task.cancel() }
        let result = await withTaskCancellationHandler {
            await task.value
        } onCancel: {
            task.cancel()
        }
        state.withLock { $0.resumption = nil }
        try result.get()
    }

    func cancel() {
        let (call, resumption) = state.withLock { state in
            state.isCancelled = true
            return (state.call, state.resumption)
        }
        resumption?.cancel()
        call?.cancel()
    }
}

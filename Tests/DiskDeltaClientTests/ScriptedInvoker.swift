import DiskDeltaProtocol
import Synchronization

/// A server that says what a test tells it to: the same messages for every call, and one end.
final class ScriptedInvoker: CallInvoker {
    enum End: Sendable {
        case success(StatusDetails)
        case failure(CallError)
        /// Nothing comes until the call is given up.
        case wait
    }

    private let messages: [any Message]
    private let end: End
    let cancellations = Mutex(0)
    let paths = Mutex<[String]>([])

    init(_ messages: [any Message], _ end: End) {
        self.messages = messages
        self.end = end
    }

    func open(
        _ method: MethodDescriptor,
        request: some Message,
        options: CallOptions
    ) async throws(CallError) -> any OutstandingCall {
        paths.withLock { $0.append(method.path) }
        return Call(self)
    }

    private final class Call: OutstandingCall {
        private struct State {
            var next = 0
            var isCancelled = false
            var waiter: CheckedContinuation<Void, Never>?
        }

        private let invoker: ScriptedInvoker
        private let state = Mutex(State())

        init(_ invoker: ScriptedInvoker) { self.invoker = invoker }

        func next<Response: Message>(_ type: Response.Type) async throws(CallError) -> Response? {
            let index = state.withLock { state -> Int in
                defer { state.next += 1 }
                return state.next
            }
            if index < invoker.messages.count {
                guard let message = invoker.messages[index] as? Response else {
                    throw CallError(.internal, "the script has no \(type)")
                }
                return message
            }
            switch invoker.end {
            case .success: return nil
            case .failure(let error): throw error
            case .wait:
                await withCheckedContinuation { waiter in
                    let isCancelled = state.withLock { state in
                        if !state.isCancelled { state.waiter = waiter }
                        return state.isCancelled
                    }
                    if isCancelled { waiter.resume() }
                }
                throw CallError(.cancelled, "the call was cancelled")
            }
        }

        var details: StatusDetails {
            if case .success(let details) = invoker.end { details } else { StatusDetails() }
        }

        func cancel() {
            let waiter = state.withLock { state in
                state.isCancelled = true
                return state.waiter.take()
            }
            invoker.cancellations.withLock { $0 += 1 }
            waiter?.resume()
        }
    }
}

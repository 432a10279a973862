/// Carries calls to the services of this process, without a connection.
///
/// Requests and answers are encoded and decoded as on a connection, so that a call tells the same in both ways: the
/// command line uses it where it reads a disk itself.
public struct InProcessInvoker: CallInvoker {
    private let router: ServiceRouter
    private let identity: String

    /// - Parameter identity: Who the services take the caller to be.
    public init(_ router: ServiceRouter, identity: String = "") {
        self.router = router
        self.identity = identity
    }

    public func open(
        _ method: MethodDescriptor,
        request: some Message,
        options: CallOptions
    ) async throws(CallError) -> any OutstandingCall {
        let bytes: [UInt8]
        do {
            bytes = try request.encode()
        } catch {
            throw CallError(unencodableRequest: error)
        }
        let accepted = try bytes.withUnsafeBufferPointer { bytes throws(CallError) in
            try router.accept(path: method.path, request: UnsafeRawBufferPointer(bytes))
        }
        let deadline = options.timeout.map { ContinuousClock.now + $0 }
        return InProcessCall(accepted, CallContext(identity: identity, metadata: options.metadata, deadline: deadline))
    }
}

/// A call to a service of this process.
///
/// The service runs in a task of its own, because its stream belongs to one task while a caller may give up at any time.
/// The two meet in a ``Handover``: the service is pulled only while the caller waits.
private final class InProcessCall: OutstandingCall {
    private let handover = Handover()

    init(_ accepted: AcceptedCall, _ context: CallContext) {
        let handover = handover
        let service = Task {
            await Self.serve(accepted, context, handover)
        }
        handover.whenEnded { service.cancel() }
        if let deadline = context.deadline {
            let timer = Task {
                guard (try? await Task.sleep(until: deadline, clock: .continuous)) != nil else { return }
                handover.end(.failure(CallError(.deadline, "the time for \(accepted.method.path) is up")))
            }
            handover.whenEnded { timer.cancel() }
        }
    }

    deinit {
        cancel()
    }

    func next<Response: Message>(_ type: Response.Type) async throws(CallError) -> Response? {
        guard let bytes = try await handover.receive() else { return nil }
        do {
            return try Response(decoding: bytes)
        } catch {
            let error = CallError(undecodableAnswer: error)
            handover.end(.failure(error))
            throw error
        }
    }

    var details: StatusDetails { handover.details }

    func cancel() {
        handover.end(.failure(CallError(.cancelled, "the call was cancelled")))
    }

    /// Pulls the service once for each message that the caller waits for.
    private static func serve(_ accepted: AcceptedCall, _ context: CallContext, _ handover: Handover) async {
        do throws(CallError) {
            guard await handover.isAwaited() else { return }
            let call = try await accepted.open(context)
            while await handover.isAwaited() {
                guard let message = try await call.next() else {
                    return handover.end(.success(call.details))
                }
                do {
                    handover.send(try message.encode())
                } catch {
                    throw CallError(unencodableAnswer: error)
                }
            }
        } catch {
            handover.end(.failure(error))
        }
    }
}

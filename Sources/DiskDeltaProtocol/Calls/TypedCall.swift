/// A streaming call under way, with the type of its messages. The generated client stubs return it.
///
/// It is read by one task at a time, message by message: whoever reads on does so where the last reader stopped. When the task is
/// cancelled, so is the call, and what has arrived and was not read is dropped.
public struct TypedCall<Response: Message>: Sendable {
    /// The call as the carrier made it.
    public let call: any OutstandingCall

    public init(_ call: any OutstandingCall) {
        self.call = call
    }

    /// The next message, or nil once the other side said that the answer is complete and its status is OK. Every other
    /// end throws. The end is told again to whoever asks again.
    public func next() async throws(CallError) -> Response? {
        try await call.nextCancelling(Response.self)
    }

    /// What the END frame carried, once `next` has returned nil.
    public var details: StatusDetails { call.details }

    /// Ends the call if it has not ended. A `next` that waits throws CANCELLED.
    public func cancel() {
        call.cancel()
    }
}

extension OutstandingCall {
    /// `next`, with the call cancelled when the task is.
    func nextCancelling<Response: Message>(_ type: Response.Type) async throws(CallError) -> Response? {
        let result = await withTaskCancellationHandler { () async -> Result<Response?, CallError> in
            do throws(CallError) {
                return .success(try await next(type))
            } catch {
                return .failure(error)
            }
        } onCancel: {
            cancel()
        }
        return try result.get()
    }
}

/// What the generated client stubs call.
extension CallInvoker {
    /// Starts a call whose answer is a stream.
    public func stream<Response: Message>(
        _ method: MethodDescriptor,
        request: some Message,
        options: CallOptions
    ) async throws(CallError) -> TypedCall<Response> {
        TypedCall(try await open(method, request: request, options: options))
    }

    /// Makes a call whose answer is one message.
    ///
    /// An answer of no message, or of more than one, throws ANSWER_INVALID; so the message is returned only after the
    /// other side said that the call succeeded.
    public func unary<Response: Message>(
        _ method: MethodDescriptor,
        request: some Message,
        options: CallOptions
    ) async throws(CallError) -> Response {
        let call: TypedCall<Response> = try await stream(method, request: request, options: options)
        guard let response = try await call.next() else {
            throw CallError(.answerInvalid, "\(method.path) was answered without a message")
        }
        guard try await call.next() == nil else {
            call.cancel()
            throw CallError(.answerInvalid, "\(method.path) was answered with more than one message")
        }
        return response
    }
}

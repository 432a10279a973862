/// Carries calls to a service: over a connection, or inside this process. The generated client stubs speak to one.
public protocol CallInvoker: Sendable {
    /// Starts a call.
    ///
    /// Throws where the call could not be started. Everything later comes from the returned call.
    func open(
        _ method: MethodDescriptor,
        request: some Message,
        options: CallOptions
    ) async throws(CallError) -> any OutstandingCall
}

/// A call under way, as its caller sees it.
///
/// It is read by one task at a time. `cancel()` may be called from any task, more than once, and after the end.
public protocol OutstandingCall: AnyObject, Sendable {
    /// The next message, or nil once the other side said that the answer is complete and its status is OK.
    ///
    /// Every other end throws: no broken connection and no missing END is ever told as nil.
    func next<Response: Message>(_ type: Response.Type) async throws(CallError) -> Response?

    /// What the END frame carried, once `next` has returned nil.
    var details: StatusDetails { get }

    /// Ends the call if it has not ended. A `next` that waits throws CANCELLED.
    func cancel()
}

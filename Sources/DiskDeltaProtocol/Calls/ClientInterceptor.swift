/// Stands between a caller and what carries its calls: it may change what is asked, refuse it, watch it, or make it again.
///
/// The counterpart of a server's interceptors. An interceptor that only adds metadata changes `options` and hands on:
///
/// ```swift
/// struct RequestLabel: ClientInterceptor {
///     let label: String
///
///     func intercept(
///         _ method: MethodDescriptor,
///         request: some Message,
///         options: CallOptions,
///         next: any CallInvoker
///     ) async throws(CallError) -> any OutstandingCall {
///         var options = options
///         guard options.metadata.append("label", Array(label.utf8)) else {
///             throw CallError(.invalidParameter, "the label '\(label)' is too long")
///         }
///         return try await next.open(method, request: request, options: options)
///     }
/// }
/// ```
public protocol ClientInterceptor: Sendable {
    /// Starts a call, as a rule by asking `next` to.
    ///
    /// An interceptor that wants to see the messages or the end of a call returns an ``OutstandingCall`` of its own around
    /// that of `next`.
    func intercept(
        _ method: MethodDescriptor,
        request: some Message,
        options: CallOptions,
        next: any CallInvoker
    ) async throws(CallError) -> any OutstandingCall
}

extension CallInvoker {
    /// This invoker behind `interceptors`, the first of which sees a call first.
    public func intercepted(by interceptors: [any ClientInterceptor]) -> any CallInvoker {
        var invoker: any CallInvoker = self
        for interceptor in interceptors.reversed() {
            invoker = InterceptedInvoker(interceptor: interceptor, next: invoker)
        }
        return invoker
    }
}

/// An invoker with one interceptor before it.
struct InterceptedInvoker: CallInvoker {
    let interceptor: any ClientInterceptor
    let next: any CallInvoker

    func open(
        _ method: MethodDescriptor,
        request: some Message,
        options: CallOptions
    ) async throws(CallError) -> any OutstandingCall {
        try await interceptor.intercept(method, request: request, options: options, next: next)
    }
}

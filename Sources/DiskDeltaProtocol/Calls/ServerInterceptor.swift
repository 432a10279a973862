/// Sees each call of a server as a whole: when it begins, and when it has ended. It is asked once for each, never for a
/// message or a range.
///
/// A server has a list of them. They begin in the order of the list and end in the opposite order.
public protocol ServerInterceptor: Sendable {
    /// A call has arrived. Nothing of it was looked at but its path and its metadata.
    ///
    /// It runs on the thread of the connection and must not block.
    ///
    /// - Parameters:
    ///   - path: as the caller sent it, of the characters `A–Z a–z 0–9 _ . /` (P-24).
    ///   - method: the method that the path names; nil where this server has none of that name.
    ///   - context: may be changed for the interceptors that follow and for the service.
    /// - Throws: what the caller is answered. Then neither the interceptors that follow nor the service hear of the call.
    func begin(path: String, method: MethodDescriptor?, context: inout CallContext) throws(CallError)

    /// A call that this interceptor has let begin is over: nothing of it runs any more, and its answer is written.
    ///
    /// It runs on the thread of the connection and must not block.
    func end(_ record: CallRecord)
}

extension ServerInterceptor {
    public func begin(path: String, method: MethodDescriptor?, context: inout CallContext) throws(CallError) {}
    public func end(_ record: CallRecord) {}
}

/// A call that is over.
public struct CallRecord: Sendable {
    /// As the caller sent it (P-24).
    public let path: String
    /// The method that the path names; nil where the server has none of that name.
    public let method: MethodDescriptor?
    /// As the last interceptor left it, and with the notes of the service.
    public let context: CallContext
    /// What the caller was told, or would have been if it were still there; nil is success.
    public let error: CallError?
    public let counts: CallCounts

    /// gRPC's status.
    public var status: Status { error?.status ?? .ok }
    /// NONE for success.
    public var reason: Reason { error?.reason ?? .none }
}

/// What a call amounted to.
public struct CallCounts: Hashable, Sendable {
    /// The messages that were sent.
    public var messages: UInt64 = 0
    /// The length of those messages in bytes, without their frames' headers.
    public var bytes: UInt64 = 0
    /// The ranges that were found; of a call that did not end well, also those of a message that was not sent any more.
    public var ranges: UInt64 = 0
    /// From the arrival of the call to its first message; nil where none was sent.
    public var timeToFirstMessage: Duration?
    /// From the arrival of the call to its second message, which is the first batch of an answer about ranges; nil where
    /// none was sent.
    public var timeToSecondMessage: Duration?
    /// From the arrival of the call to its end.
    public var duration = Duration.zero

    public init() {}
}

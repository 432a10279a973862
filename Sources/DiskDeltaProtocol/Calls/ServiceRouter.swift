/// Finds the method that a call names, and reads its request.
///
/// A router is filled once, through the generated `register(_:)` of each service, and then shared.
public struct ServiceRouter: Sendable {
    private var entries: [String: Entry] = [:]

    private struct Entry {
        let method: MethodDescriptor
        let accept: @Sendable (UnsafeRawBufferPointer) throws(MessageError) -> AcceptedCall
    }

    public init() {}

    /// The methods that are registered, in the order of their paths. A service answers some of them by refusing.
    public var methods: [MethodDescriptor] {
        entries.values.map(\.method).sorted { $0.path < $1.path }
    }

    /// The method that a path names; nil where none of that name is registered.
    public func method(_ path: String) -> MethodDescriptor? {
        entries[path]?.method
    }

    /// Finds a method and reads its request, which is not needed afterwards. Nothing of the service runs yet.
    ///
    /// Throws UNIMPLEMENTED where no method has the path; INTERNAL, or RESOURCE_EXHAUSTED, where the request cannot be
    /// read.
    ///
    /// - Parameter path: The path as an OPEN frame carries it: `diskdelta.v1.ImageManagement/GetVirtualDiskChanges`.
    public func accept(path: String, request: UnsafeRawBufferPointer) throws(CallError) -> AcceptedCall {
        guard let entry = entries[path] else { throw CallError(unimplemented: path) }
        do {
            return try entry.accept(request)
        } catch {
            throw CallError(undecodableRequest: error, of: entry.method)
        }
    }

    /// Answers a method by a stream of messages. A method that is registered twice is answered by the later.
    public mutating func registerStreaming<Request: Message, Response: Message>(
        _ method: MethodDescriptor,
        _ answer: @escaping @Sendable (Request, CallContext) async throws(CallError) -> any ResponseStream<Response>
    ) {
        entries[method.path] = Entry(method: method) { bytes throws(MessageError) in
            let request = try Request(decoding: bytes)
            return AcceptedCall(method: method) { context throws(CallError) in
                ServerCall(method: method, try await answer(request, context))
            }
        }
    }

    /// Answers a method by one message. A method that is registered twice is answered by the later.
    public mutating func registerUnary<Request: Message, Response: Message>(
        _ method: MethodDescriptor,
        _ answer: @escaping @Sendable (Request, CallContext) async throws(CallError) -> Response
    ) {
        registerStreaming(method) { (request: Request, context) throws(CallError) -> any ResponseStream<Response> in
            SingleResponse(try await answer(request, context))
        }
    }
}

/// A call whose method is known and whose request is read.
public struct AcceptedCall: Sendable {
    public let method: MethodDescriptor
    private let start: @Sendable (CallContext) async throws(CallError) -> ServerCall

    init(
        method: MethodDescriptor,
        start: @escaping @Sendable (CallContext) async throws(CallError) -> ServerCall
    ) {
        self.method = method
        self.start = start
    }

    /// Lets the service begin. What it refuses before the first message is thrown here.
    public func open(_ context: CallContext) async throws(CallError) -> ServerCall {
        try await start(context)
    }
}

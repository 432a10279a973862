/// A method of a service, as the generated stubs name it.
public struct MethodDescriptor: Hashable, Sendable {
    /// The full name of the service: `diskdelta.v1.ImageManagement`.
    public let service: String

    /// The name of the method: `GetVirtualDiskChanges`.
    public let method: String

    /// Whether the answer is a stream of messages rather than exactly one.
    public let isServerStreaming: Bool

    public init(service: String, method: String, isServerStreaming: Bool) {
        self.service = service
        self.method = method
        self.isServerStreaming = isServerStreaming
    }

    /// What an OPEN frame carries: `diskdelta.v1.ImageManagement/GetVirtualDiskChanges`.
    public var path: String { "\(service)/\(method)" }
}

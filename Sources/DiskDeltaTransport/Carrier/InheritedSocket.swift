internal import Glibc

/// A socket that is bound already, and was handed to this process by the one that started it.
public struct InheritedSocket: Hashable, Sendable {
    /// The file descriptor. Whoever listens on it closes it.
    public let descriptor: CInt
    /// The address that it is bound to.
    public let endpoint: Endpoint

    /// Throws where the descriptor is no stream socket that is bound to a TCP address or to the path of a Unix socket.
    public init(descriptor: CInt) throws(InheritedSocketError) {
        self.descriptor = descriptor
        var kind: CInt = 0
        var size = socklen_t(MemoryLayout<CInt>.size)
        guard getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &kind, &size) == 0 else {
            throw InheritedSocketError("file descriptor \(descriptor) is no socket: \(Self.errorText())")
        }
        guard kind == CInt(SOCK_STREAM.rawValue) else {
            throw InheritedSocketError("the socket on file descriptor \(descriptor) is no stream socket")
        }
        endpoint = try Self.endpoint(of: descriptor)
    }

    private static func endpoint(of descriptor: CInt) throws(InheritedSocketError) -> Endpoint {
        var name = sockaddr_storage()
        let capacity = socklen_t(MemoryLayout<sockaddr_storage>.size)
        var size = capacity
        let status = withUnsafeMutableBytes(of: &name) { bytes in
            bytes.baseAddress.map { getsockname(descriptor, $0.assumingMemoryBound(to: sockaddr.self), &size) } ?? -1
        }
        guard status == 0 else {
            throw InheritedSocketError("the address of file descriptor \(descriptor) cannot be read: \(errorText())")
        }
        let bytes = withUnsafeBytes(of: &name) { Array($0.prefix(Int(min(size, capacity)))) }
        switch CInt(name.ss_family) {
        case AF_UNIX:
            let path = String(
                decoding: bytes.dropFirst(MemoryLayout<sa_family_t>.size).prefix { $0 != 0 },
                as: UTF8.self
            )
            if path.hasPrefix("/") { return .unix(path: path) }
        case AF_INET, AF_INET6:
            var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            var port = [CChar](repeating: 0, count: Int(NI_MAXSERV))
            let failure = withUnsafeBytes(of: &name) { bytes in
                bytes.baseAddress.map {
                    getnameinfo(
                        $0.assumingMemoryBound(to: sockaddr.self),
                        size,
                        &host,
                        socklen_t(host.count),
                        &port,
                        socklen_t(port.count),
                        NI_NUMERICHOST | NI_NUMERICSERV
                    )
                } ?? EAI_FAIL
            }
            if failure == 0, let port = Int(text(port)) { return .tcp(host: text(host), port: port) }
        default:
            break
        }
        throw InheritedSocketError(
            "the socket on file descriptor \(descriptor) is bound neither to a TCP address nor to an absolute path"
        )
    }

    private static func text(_ characters: [CChar]) -> String {
        String(decoding: characters.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    private static func errorText() -> String { String(cString: strerror(errno)) }
}

/// Why a file descriptor is not a socket to listen on.
public struct InheritedSocketError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A sentence that a person can act on.
    public let message: String

    init(_ message: String) { self.message = message }

    public var description: String { message }
}

/// Where a server listens and a client connects: `HOST:PORT`, `[V6]:PORT` or `unix:/path`.
public enum Endpoint: Hashable, Sendable, CustomStringConvertible {
    /// A host name or an address without brackets, and a port; a server takes any free one for port 0.
    case tcp(host: String, port: Int)
    /// A Unix socket at an absolute path of at most 107 bytes.
    case unix(path: String)

    /// The longest path in bytes that a Unix socket can have on Linux.
    private static let maximumPathByteCount = 107

    /// Reads an address. Throws a sentence that says what is wrong with it.
    public init(_ address: String) throws(EndpointError) {
        if address.hasPrefix("unix:") {
            let path = String(address.dropFirst(5))
            guard path.hasPrefix("/"), path.utf8.count <= Self.maximumPathByteCount, !path.utf8.contains(0) else {
                throw EndpointError(
                    address,
                    "unix: takes an absolute path of at most \(Self.maximumPathByteCount) bytes"
                )
            }
            self = .unix(path: path)
            return
        }
        guard let colon = address.lastIndex(of: ":") else {
            throw EndpointError(address, "it has no port; write HOST:PORT, [V6]:PORT or unix:/path")
        }
        let portText = address[address.index(after: colon)...]
        guard (1...5).contains(portText.utf8.count), portText.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let port = UInt16(portText)
        else {
            throw EndpointError(address, "'\(portText)' is not a port from 0 to 65535")
        }
        var host = address[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
            guard host.contains(":") else {
                throw EndpointError(address, "only an IPv6 address stands in brackets")
            }
        } else if host.contains(":") {
            throw EndpointError(address, "an IPv6 address stands in brackets: [V6]:PORT")
        }
        guard !host.isEmpty, !host.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F }) else {
            throw EndpointError(address, "it names no host")
        }
        self = .tcp(host: String(host), port: Int(port))
    }

    /// Whether only this machine can reach it: a Unix socket, or a loopback address or name.
    public var isLocal: Bool {
        switch self {
        case .unix: true
        case .tcp(let host, _): host == "localhost" || host == "::1" || Self.isLoopbackV4(host)
        }
    }

    /// As it is read, with the brackets of an IPv6 address.
    public var description: String {
        switch self {
        case .unix(let path): "unix:\(path)"
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        }
    }

    /// Four numbers, the first of them 127. A name that only begins so may be anybody's.
    private static func isLoopbackV4(_ host: String) -> Bool {
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127"
            && parts.allSatisfy { part in part.utf8.allSatisfy { (0x30...0x39).contains($0) } && UInt8(part) != nil }
    }
}

/// Why a text is not an address.
public struct EndpointError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The text.
    public let address: String
    /// What is wrong with it.
    public let message: String

    init(_ address: String, _ message: String) {
        self.address = address
        self.message = message
    }

    public var description: String { "'\(address)' is not an address: \(message)" }
}

internal import NIOCore

extension Endpoint {
    /// The endpoint of a bound socket; nil where it is neither TCP nor a Unix socket with a path.
    init?(_ address: SocketAddress?) {
        guard let address else { return nil }
        if let path = address.pathname {
            self = .unix(path: path)
        } else if let host = address.ipAddress, let port = address.port {
            self = .tcp(host: host, port: port)
        } else {
            return nil
        }
    }
}

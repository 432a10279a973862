import Foundation
import Synchronization
import TestSupport

/// Stands between a client and a server, hands on what both send, and breaks what it is told to break. What it carries may
/// be encrypted: it only counts bytes.
final class Relay: Sendable {
    /// What happens to what the server sends on one connection.
    enum Plan: Sendable {
        case pass
        /// The connection breaks, for both, when this many bytes have been handed on.
        case cut(after: Int)
        /// Nothing more is handed on after this many bytes, and `then` runs once; when it returns the connection breaks.
        case hold(after: Int, then: @Sendable () -> Void)
    }

    /// Where clients connect.
    let address: String
    private let target: String
    private let plans: [Plan]
    private let listener: Int32
    private let state = Mutex(State())

    private struct State {
        var connections = 0
        var bytes = 0
    }

    /// - Parameter plans: one for each connection, in their order; the last holds for all that come after.
    init(to target: String, at path: String? = nil, _ plans: [Plan]) throws {
        self.target = target
        self.plans = plans
        if let path {
            let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
            guard UnixName.withPointer(path, { bind(listener, $0, $1) }) == 0, listen(listener, 16) == 0 else {
                throw BuiltProgram.Failure(description: "cannot listen at \(path): errno \(errno)")
            }
            self.listener = listener
            address = "unix:" + path
        } else {
            let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            var name = Loopback.name(port: 0)
            let isBound = Loopback.withPointer(to: &name) { name, size in
                var size = size
                return bind(listener, name, size) == 0 && listen(listener, 16) == 0
                    && getsockname(listener, name, &size) == 0
            }
            guard isBound else { throw BuiltProgram.Failure(description: "cannot listen: errno \(errno)") }
            self.listener = listener
            address = "127.0.0.1:\(UInt16(bigEndian: name.sin_port))"
        }
        Thread.detachNewThread { [listener, weak self] in
            while case let client = accept(listener, nil, nil), client >= 0 {
                guard let self else {
                    close(client)
                    continue
                }
                self.serve(client)
            }
            close(listener)
        }
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
    }

    /// How many connections clients have made.
    var connectionCount: Int { state.withLock { $0.connections } }

    /// How many bytes of the server were handed on, over all connections.
    var byteCount: Int { state.withLock { $0.bytes } }

    private func serve(_ client: Int32) {
        let index = state.withLock { state in
            defer { state.connections += 1 }
            return state.connections
        }
        let plan = plans[min(index, plans.count - 1)]
        guard let server = try? Sockets.connected(to: target) else {
            close(client)
            return
        }
        let link = Link(client, server)
        Thread.detachNewThread { link.copy(from: client, to: server) { _ in } }
        Thread.detachNewThread { [self] in
            let count: (Int) -> Void = { [self] count in state.withLock { $0.bytes += count } }
            switch plan {
            case .pass:
                link.copy(from: server, to: client, count)
            case .cut(let limit):
                link.copy(from: server, to: client, limit: limit, count)
            case .hold(let limit, let then):
                link.copy(from: server, to: client, limit: limit, count)
                then()
            }
            link.end()
        }
    }
}

/// Two sockets that are closed together, once, when neither is used any more.
private final class Link: Sendable {
    private let client: Int32
    private let server: Int32

    init(_ client: Int32, _ server: Int32) {
        self.client = client
        self.server = server
    }

    deinit {
        close(client)
        close(server)
    }

    /// Breaks both connections: whoever reads or writes them stops.
    func end() {
        shutdown(client, Int32(SHUT_RDWR))
        shutdown(server, Int32(SHUT_RDWR))
    }

    /// Hands on what comes, at most `limit` bytes, until one of the two ends.
    func copy(from source: Int32, to sink: Int32, limit: Int = .max, _ count: (Int) -> Void) {
        var buffer = [UInt8](repeating: 0, count: 16_384)
        var rest = limit
        while rest > 0 {
            let most = min(buffer.count, rest)
            let received = buffer.withUnsafeMutableBytes { recv(source, $0.baseAddress, most, 0) }
            guard received > 0 else { break }
            rest -= received
            Loopback.send(Array(buffer.prefix(received)), to: sink)
            count(received)
        }
        // At its own limit it says nothing: the caller decides. Where the source has ended the sink is told.
        if rest > 0 { shutdown(sink, Int32(SHUT_WR)) }
    }
}

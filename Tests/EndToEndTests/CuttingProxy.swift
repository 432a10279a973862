import Foundation
import TestSupport

/// Stands between a client and a server, and breaks connections after so many bytes of the server's.
final class CuttingProxy: Sendable {
    /// `127.0.0.1:PORT`
    let address: String
    private let descriptor: Int32
    private let state: State

    private final class State: @unchecked Sendable {
        private let lock = NSLock()
        private var cuts: [Int?]
        private var count = 0

        init(_ cuts: [Int?]) {
            self.cuts = cuts
        }

        var connections: Int { lock.withLock { count } }

        func next() -> Int? {
            lock.withLock {
                count += 1
                return cuts.isEmpty ? nil : cuts.removeFirst()
            }
        }
    }

    /// How many connections there were.
    var connections: Int { state.connections }

    /// - Parameters:
    ///   - server: `127.0.0.1:PORT`
    ///   - cuts: for each connection, in their order, after how many bytes of the server's it is broken; nil: not at all, and
    ///     so are those that come after the last.
    ///   - reset: whether it is broken by a reset, which may destroy what was sent, rather than in order.
    init(to server: String, cuts: [Int?], reset: Bool = false) throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var name = Loopback.name(port: 0)
        let isBound = Loopback.withPointer(to: &name) { name, size in
            var size = size
            return bind(descriptor, name, size) == 0 && listen(descriptor, 64) == 0
                && getsockname(descriptor, name, &size) == 0
        }
        guard isBound else { throw BuiltProgram.Failure(description: "cannot listen: errno \(errno)") }
        self.descriptor = descriptor
        address = "127.0.0.1:\(UInt16(bigEndian: name.sin_port))"
        let state = State(cuts)
        self.state = state
        Thread.detachNewThread {
            while case let connection = accept(descriptor, nil, nil), connection >= 0 {
                let cut = state.next()
                Loopback.limitWaiting(connection)
                Thread.detachNewThread { Self.carry(connection, to: server, cut: cut, reset: reset) }
            }
            close(descriptor)
        }
    }

    deinit {
        shutdown(descriptor, Int32(SHUT_RDWR))
    }

    private static func carry(_ client: Int32, to address: String, cut: Int?, reset: Bool) {
        let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var name = Loopback.name(port: UInt16(address.split(separator: ":").last ?? "") ?? 0)
        let isConnected = Loopback.withPointer(to: &name) { connect(server, $0, $1) } == 0
        guard isConnected else {
            close(client)
            close(server)
            return
        }
        Loopback.limitWaiting(server)
        let forward = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            while let bytes = try? Loopback.receive(client, most: 65_536), !bytes.isEmpty {
                Loopback.send(bytes, to: server)
            }
            shutdown(server, Int32(SHUT_RDWR))
            forward.signal()
        }
        var left = cut ?? .max
        while left > 0, let bytes = try? Loopback.receive(server, most: min(left, 65_536)), !bytes.isEmpty {
            Loopback.send(bytes, to: client)
            left -= bytes.count
        }
        if reset, cut != nil {
            var linger = linger(l_onoff: 1, l_linger: 0)
            setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
        }
        shutdown(client, reset && cut != nil ? Int32(SHUT_RD) : Int32(SHUT_RDWR))
        shutdown(server, Int32(SHUT_RDWR))
        forward.wait()
        close(client)
        close(server)
    }
}

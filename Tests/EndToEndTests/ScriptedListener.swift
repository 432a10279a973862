import DiskDeltaProtocol
import Foundation
import TestSupport

/// A server that plays what it is told to, on a port of this machine. It serves one connection after the other.
final class ScriptedListener: Sendable {
    /// How a connection ends when everything is sent.
    enum Ending: Sendable {
        /// In order: what was sent arrives.
        case close
        /// With a reset: what was sent may be lost.
        case reset
        /// Not before the client ends it.
        case silence
    }

    struct Script: Sendable {
        /// Sent at once.
        var opening: [UInt8]
        /// Sent when the client has opened a stream.
        var rest: [UInt8]
        var ending = Ending.close
    }

    /// `127.0.0.1:PORT`
    let address: String
    private let descriptor: Int32

    /// - Parameter scripts: one for each connection, in their order; the last is played again.
    init(_ scripts: [Script]) throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var name = Loopback.name(port: 0)
        let isBound = Loopback.withPointer(to: &name) { name, size in
            var size = size
            return bind(descriptor, name, size) == 0 && listen(descriptor, 16) == 0
                && getsockname(descriptor, name, &size) == 0
        }
        guard isBound else { throw BuiltProgram.Failure(description: "cannot listen: errno \(errno)") }
        self.descriptor = descriptor
        address = "127.0.0.1:\(UInt16(bigEndian: name.sin_port))"
        Thread.detachNewThread {
            var index = 0
            while case let connection = accept(descriptor, nil, nil), connection >= 0 {
                Loopback.limitWaiting(connection)
                Self.play(scripts[min(index, scripts.count - 1)], to: connection)
                index += 1
            }
            close(descriptor)
        }
    }

    deinit {
        shutdown(descriptor, Int32(SHUT_RDWR))
    }

    private static func play(_ script: Script, to connection: Int32) {
        defer { close(connection) }
        Loopback.send(script.opening, to: connection)
        if !script.rest.isEmpty {
            guard waitForOpen(connection) else { return }
            Loopback.send(script.rest, to: connection)
        }
        switch script.ending {
        case .reset:
            var linger = linger(l_onoff: 1, l_linger: 0)
            setsockopt(connection, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
            return
        case .close: shutdown(connection, Int32(SHUT_WR))
        case .silence: break
        }
        // What the client still sends is read, or the kernel would reset the connection.
        while let bytes = try? Loopback.receive(connection, most: 65_536), !bytes.isEmpty {}
    }

    /// Reads until the client has sent a whole OPEN. False where it ended before.
    private static func waitForOpen(_ connection: Int32) -> Bool {
        var bytes: [UInt8] = []
        while true {
            var frame = Preface.byteCount
            while bytes.count >= frame + FrameHeader.byteCount {
                let header = bytes[frame..<frame + FrameHeader.byteCount]
                let length = header.prefix(4).reduce(0) { $0 << 8 | Int($1) }
                let end = frame + FrameHeader.byteCount + length
                if header[frame + 4] == FrameType.open.rawValue, bytes.count >= end { return true }
                frame = end
            }
            guard let piece = try? Loopback.receive(connection, most: 65_536), !piece.isEmpty else { return false }
            bytes += piece
        }
    }
}

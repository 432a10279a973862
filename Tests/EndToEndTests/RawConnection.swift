import DiskDeltaProtocol
import Foundation
import TestSupport

/// A connection that sends and receives whatever bytes a test wants. Nothing waits longer than 20 s.
final class RawConnection: Sendable {
    private let descriptor: Int32

    init(to address: String) throws {
        descriptor = try Sockets.connected(to: address)
        Loopback.limitWaiting(descriptor)
    }

    deinit {
        close(descriptor)
    }

    /// Sends what the other side still wants.
    func send(_ bytes: [UInt8]) {
        Loopback.send(bytes, to: descriptor)
    }

    /// The next bytes; fewer where the other side closed, and none after that.
    func receive(_ count: Int) throws -> [UInt8] {
        var received: [UInt8] = []
        while received.count < count {
            let piece = try Loopback.receive(descriptor, most: count - received.count)
            if piece.isEmpty { break }
            received += piece
        }
        return received
    }

    /// All that comes until the other side closes.
    func receiveAll() throws -> [UInt8] {
        try receive(.max)
    }

    /// The next frame; nil where the other side closed.
    func receiveFrame() throws -> Frame? {
        let bytes = try receive(FrameHeader.byteCount)
        guard bytes.count == FrameHeader.byteCount else { return nil }
        let header = try FrameHeader(decoding: bytes.span.bytes, maximumLength: FrameHeader.hardCap)
        return Frame(header: header, payload: try receive(Int(header.length)))
    }
}

/// A frame as it came.
struct Frame: Hashable {
    var header: FrameHeader
    var payload: [UInt8]

    init(header: FrameHeader, payload: [UInt8]) {
        self.header = header
        self.payload = payload
    }

    init(_ type: FrameType, stream: StreamID = 0, aux: UInt32 = 0, flags: UInt8 = 0, payload: [UInt8] = []) {
        header = FrameHeader(type, stream: stream, aux: aux, length: UInt32(payload.count), flags: flags)
        self.payload = payload
    }

    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        header.encode(into: &bytes)
        return bytes + payload
    }

    /// What a client sends first: preface and SETTINGS.
    static func greeting(_ settings: ClientSettings = .default) -> [UInt8] {
        var bytes: [UInt8] = []
        Preface.current.encode(into: &bytes)
        settings.entries.header.encode(into: &bytes)
        settings.entries.encode(into: &bytes)
        return bytes
    }

    /// An OPEN that asks for changes.
    static func open(_ request: GetVirtualDiskChangesRequest, stream: StreamID = 1) throws -> Frame {
        var payload: [UInt8] = []
        OpenPayload(path: ImageManagementMethods.getVirtualDiskChanges.path)?.encode(into: &payload)
        return Frame(.open, stream: stream, payload: payload + (try request.encode()))
    }
}

/// Sockets that are connected.
enum Sockets {
    /// A socket that is connected to `unix:/path` or to a port of this machine.
    static func connected(to address: String) throws -> Int32 {
        let descriptor: Int32
        let status: Int32
        if address.hasPrefix("unix:") {
            descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
            status = UnixName.withPointer(String(address.dropFirst(5))) { connect(descriptor, $0, $1) }
        } else {
            descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            var name = Loopback.name(port: UInt16(address.split(separator: ":").last ?? "") ?? 0)
            status = Loopback.withPointer(to: &name) { connect(descriptor, $0, $1) }
        }
        guard status == 0 else {
            close(descriptor)
            throw BuiltProgram.Failure(description: "cannot connect to \(address)")
        }
        return descriptor
    }
}

/// The names of Unix sockets.
enum UnixName {
    static func withPointer<Result>(
        _ path: String,
        _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        var name = sockaddr_un()
        name.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &name.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
        return withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}

/// Sockets of this machine.
enum Loopback {
    static func name(port: UInt16) -> sockaddr_in {
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = port.bigEndian
        name.sin_addr = in_addr(s_addr: UInt32(0x7F00_0001).bigEndian)
        return name
    }

    static func withPointer<Result>(
        to name: inout sockaddr_in,
        _ body: (UnsafeMutablePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        withUnsafeMutablePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    static func limitWaiting(_ descriptor: Int32) {
        var limit = timeval(tv_sec: 20, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
    }

    static func send(_ bytes: [UInt8], to descriptor: Int32) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let sent = rest.withUnsafeBytes {
                Foundation.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard sent > 0 else { return }
            rest = rest.dropFirst(sent)
        }
    }

    /// Some bytes; none where the other side closed, in whatever way.
    static func receive(_ descriptor: Int32, most: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: min(most, 65_536))
        let count = bytes.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, $0.count, 0) }
        if count < 0, errno == EAGAIN { throw BuiltProgram.Failure(description: "nothing came for 20 s") }
        return Array(bytes.prefix(max(count, 0)))
    }
}

import DiskDeltaProtocol
import DiskDeltaTransport
import Foundation
import TestSupport
import Testing

/// Sockets that somebody else has bound.
@Suite("Inherited sockets", .timeLimit(.minutes(2)))
struct InheritedSocketTests {
    /// A socket, open as long as the object lives unless it is given away.
    private final class Socket {
        var descriptor: CInt

        init(_ family: CInt, _ kind: __socket_type = SOCK_STREAM) {
            descriptor = socket(family, CInt(kind.rawValue), 0)
        }

        deinit { if descriptor >= 0 { close(descriptor) } }

        func giveAway() -> CInt {
            defer { descriptor = -1 }
            return descriptor
        }

        func bindToLoopback() {
            var name = sockaddr_in()
            name.sin_family = sa_family_t(AF_INET)
            name.sin_addr = in_addr(s_addr: UInt32(0x7F00_0001).bigEndian)
            bind(&name, MemoryLayout<sockaddr_in>.size)
        }

        func bind(toPath path: String) {
            var name = sockaddr_un()
            name.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &name.sun_path) { $0.copyBytes(from: path.utf8) }
            bind(&name, MemoryLayout<sockaddr_un>.size)
        }

        private func bind<Name>(_ name: inout Name, _ size: Int) {
            let status = withUnsafePointer(to: &name) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    Foundation.bind(descriptor, $0, socklen_t(size))
                }
            }
            #expect(status == 0)
        }
    }

    @Test("A server serves on a TCP socket and on a Unix socket that are bound already, beside one that it binds")
    func serving() async throws {
        let folder = try TemporaryFolder()
        let tcp = Socket(AF_INET)
        tcp.bindToLoopback()
        let unix = Socket(AF_UNIX)
        unix.bind(toPath: folder.file("socket"))
        let sockets = [
            try InheritedSocket(descriptor: tcp.giveAway()), try InheritedSocket(descriptor: unix.giveAway()),
        ]
        guard case .tcp("127.0.0.1", 1...) = sockets[0].endpoint else {
            Issue.record("\(sockets[0].endpoint)")
            return
        }
        #expect(sockets[1].endpoint == .unix(path: folder.file("socket")))

        let server = try await RPCServer.bind(
            to: [.tcp(host: "127.0.0.1", port: 0)],
            inheriting: sockets,
            router: ScriptedService().router,
            logger: .quiet
        )
        #expect(server.endpoints.count == 3)
        #expect(Array(server.endpoints.prefix(2)) == sockets.map(\.endpoint))
        for endpoint in server.endpoints {
            let connection = try await RPCConnection.connect(to: endpoint, logger: .quiet)
            #expect(try await connection.run("send 3 10") == 3)
            await connection.close()
        }
        await server.stop()
        await #expect(throws: (any Error).self) { try await RPCConnection.connect(to: sockets[0].endpoint) }
    }

    @Test("What is no bound stream socket is refused")
    func refusing() throws {
        let folder = try TemporaryFolder()
        let datagrams = Socket(AF_UNIX, SOCK_DGRAM)
        datagrams.bind(toPath: folder.file("socket"))
        let file = try #require(fopen(folder.file("file"), "w"))
        defer { fclose(file) }
        for (descriptor, text) in [
            (datagrams.descriptor, "no stream socket"), (Socket(AF_UNIX).giveAway(), "neither"),
            (fileno(file), "no socket"), (-1, "no socket"),
        ] {
            let error = try #require(throws: InheritedSocketError.self) {
                try InheritedSocket(descriptor: descriptor)
            }
            #expect(error.message.contains(text), "\(error)")
        }
    }
}

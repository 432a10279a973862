import DiskDeltaClient
import Foundation
import TestSupport
import Testing

/// `diskdeltad` as systemd starts it: with a socket that is bound already, and one to say on how it is.
@Suite("A server and its service manager", .enabled(if: Programs.areBuilt, Programs.absence), .timeLimit(.minutes(2)))
struct ServiceManagerTests {
    private let folder: TemporaryFolder
    private let notifications: Int32

    init() throws {
        folder = try TemporaryFolder()
        notifications = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        try Self.bind(notifications, toPath: folder.file("notify"))
        Loopback.limitWaiting(notifications)
    }

    private static func bind(_ descriptor: Int32, toPath path: String) throws {
        var name = sockaddr_un()
        name.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &name.sun_path) { $0.copyBytes(from: path.utf8) }
        let status = withUnsafePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Foundation.bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard status == 0 else { throw BuiltProgram.Failure(description: "cannot bind to \(path)") }
    }

    /// The next thing that the server says of itself.
    private func notification() throws -> String {
        String(decoding: try Loopback.receive(notifications, most: 1_000), as: UTF8.self)
    }

    private func listeningSocket(_ isUnix: Bool) throws -> (descriptor: Int32, address: String) {
        let descriptor: Int32
        let address: String
        if isUnix {
            descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
            address = "unix:" + folder.file("socket")
            try Self.bind(descriptor, toPath: folder.file("socket"))
        } else {
            descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            var name = Loopback.name(port: 0)
            guard Loopback.withPointer(to: &name, { Foundation.bind(descriptor, $0, $1) }) == 0 else {
                throw BuiltProgram.Failure(description: "cannot bind")
            }
            var size = socklen_t(MemoryLayout<sockaddr_in>.size)
            _ = withUnsafeMutablePointer(to: &name) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &size) }
            }
            address = "127.0.0.1:\(UInt16(bigEndian: name.sin_port))"
        }
        #expect(listen(descriptor, 16) == 0)
        return (descriptor, address)
    }

    @Test("It listens on the socket, says when it is ready, reads again, and stops", arguments: [false, true])
    func life(isUnix: Bool) throws {
        let (descriptor, address) = try listeningSocket(isUnix)
        // A shell that becomes the server: it knows its number, which the variables must name.
        let shell = BuiltProgram("sh", candidates: ["/bin/sh"])
        let server = try shell.start(
            [
                "-c", "exec 3<&0 0</dev/null; export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$0\" \"$@\"",
                try #require(Programs.diskdeltad.path), "--root", "d=\(folder.path)", "--log-level", "error",
            ],
            environment: ["NOTIFY_SOCKET": folder.file("notify")],
            input: FileHandle(fileDescriptor: descriptor, closeOnDealloc: true),
            in: folder
        )
        #expect(try notification() == "READY=1\nSTATUS=Serving")
        #expect(try server.outcome().output == "listening on \(address)\n")
        let check = try Programs.diskdelta.run(["--server", address, "check"], in: folder)
        #expect(check.status == 0, "\(check.error)")

        server.send(SIGHUP)
        #expect(try notification().hasPrefix("RELOADING=1\nMONOTONIC_USEC="))
        #expect(try notification().hasPrefix("READY=1\n"))

        server.terminate()
        #expect(try notification().hasPrefix("STOPPING=1\n"))
        guard server.wait(seconds: 20) else {
            server.kill()
            Issue.record("the server did not stop")
            return
        }
        let outcome = try server.outcome()
        #expect(outcome.status == 0, "\(outcome.error)")
        #expect(outcome.output == "listening on \(address)\n")
        // The socket is not the server's: the next one goes on with it.
        if isUnix { #expect(FileManager.default.fileExists(atPath: folder.file("socket"))) }
        close(notifications)
    }
}

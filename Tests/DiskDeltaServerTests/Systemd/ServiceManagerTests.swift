import DiskDeltaTransport
import Foundation
import TestSupport
import Testing

@testable import DiskDeltaServer

@Suite("What a service manager is told, and hands over")
struct ServiceManagerTests {
    /// A socket that takes datagrams, as a service manager has one.
    private final class Listener {
        private let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)

        init(_ path: String) {
            var name = sockaddr_un()
            name.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &name.sun_path) { buffer in
                buffer.copyBytes(from: path.utf8)
                if path.hasPrefix("@") { buffer[0] = 0 }
            }
            let size = socklen_t(MemoryLayout<sa_family_t>.size + path.utf8.count)
            let status = withUnsafePointer(to: &name) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, size) }
            }
            #expect(status == 0)
        }

        deinit { close(descriptor) }

        /// The next datagram, which has been sent; nil where none has.
        func next() -> String? {
            var bytes = [UInt8](repeating: 0, count: 1_000)
            let count = recv(descriptor, &bytes, bytes.count, Int32(MSG_DONTWAIT))
            return count < 0 ? nil : String(decoding: bytes.prefix(count), as: UTF8.self)
        }
    }

    @Test("States are told over a socket with a path, and over one without", arguments: [false, true])
    func telling(isAbstract: Bool) throws {
        let folder = try TemporaryFolder()
        let path = isAbstract ? "@diskdelta-\(UUID().uuidString)" : folder.file("notify")
        let listener = Listener(path)
        let manager = ServiceManager(environment: ["NOTIFY_SOCKET": path])
        manager.tell(.ready)
        #expect(listener.next() == "READY=1\nSTATUS=Serving")
        manager.tell(.reloading)
        let reloading = try #require(listener.next())
        #expect(reloading.wholeMatch(of: /RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]*/) != nil)
        manager.tell(.stopping)
        #expect(listener.next()?.hasPrefix("STOPPING=1\n") == true)
        #expect(listener.next() == nil)
    }

    @Test(
        "Where there is no service manager, nothing happens",
        arguments: [
            nil, "", "/no/such/socket", "relative", "vsock:2:1", String(repeating: "/a", count: 200),
        ]
    )
    func nobody(path: String?) throws {
        let manager = ServiceManager(environment: path.map { ["NOTIFY_SOCKET": $0] } ?? [:])
        manager.tell(.ready)
        #expect(try manager.inheritedDescriptors() == [])
    }

    @Test("Sockets are taken by the process that they are meant for only")
    func descriptors() throws {
        func descriptors(_ environment: [String: String]) throws -> [CInt] {
            try ServiceManager(environment: environment, processID: 77).inheritedDescriptors()
        }
        #expect(try descriptors(["LISTEN_FDS": "2"]) == [])
        #expect(try descriptors(["LISTEN_FDS": "2", "LISTEN_PID": "78"]) == [])
        #expect(try descriptors(["LISTEN_FDS": "0", "LISTEN_PID": "77"]) == [])
        for text in ["", "-1", "x", "65", "99999999999999999999"] {
            let error = try #require(throws: SettingsError.self) {
                try descriptors(["LISTEN_FDS": text, "LISTEN_PID": "77"])
            }
            #expect(error.message.contains("LISTEN_FDS"))
        }
    }

    @Test("A listener is a socket that was handed over, or is bound by the server")
    func listening() throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_addr = in_addr(s_addr: UInt32(0x7F00_0001).bigEndian)
        let status = withUnsafePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        #expect(status == 0)
        let inherited = try InheritedSocket(descriptor: descriptor).endpoint
        func listening(_ flags: [SettingName: [String]], _ descriptors: [CInt]) throws -> Listening {
            let settings = try Settings.resolve(flags: flags, environment: [:]) { _ in nil }
            return try Listening(settings, inheriting: descriptors) { _ in }
        }
        let alone = try listening([:], [])
        #expect(alone.sockets.isEmpty && alone.endpoints == [.tcp(host: "127.0.0.1", port: 7420)])
        let handed = try listening([:], [descriptor])
        #expect(handed.sockets.map(\.endpoint) == [inherited] && handed.endpoints.isEmpty)
        // What is both said and handed over is one listener.
        let both = try listening([.listen: ["unix:/a", inherited.description]], [descriptor])
        #expect(both.sockets.map(\.endpoint) == [inherited] && both.endpoints == [.unix(path: "/a")])
        #expect(both.ownPaths == ["/a"])

        let error = #expect(throws: SettingsError.self) { try listening([:], [-1]) }
        #expect(error?.message.contains("handed over") == true)
        // Where a server may listen does not depend on who binds.
        #expect(throws: SettingsError.self) {
            try Listening(Settings(), inheriting: [descriptor]) { endpoint throws(SettingsError) in
                throw SettingsError(message: "\(endpoint)")
            }
        }
    }
}

internal import Foundation

/// The service manager that may have started this process, systemd or one that does as it does: tells it what becomes of the
/// service, and takes the sockets that it handed over. Without one nothing is told and nothing is taken.
///
/// The protocols are those of sd_notify(3) and sd_listen_fds(3), which may be implemented by anybody.
public struct ServiceManager: Sendable {
    public enum State: Sendable {
        /// The service serves; after `reloading`, again.
        case ready
        /// The service reads its files again.
        case reloading
        /// The service has begun to stop.
        case stopping
    }

    /// The number of the first socket that is handed over.
    private static let firstDescriptor: CInt = 3
    private static let maximumDescriptors: CInt = 64

    private let environment: [String: String]
    private let processID: CInt

    /// - Parameter environment: the variables of the process.
    public init(environment: [String: String]) {
        self.init(environment: environment, processID: getpid())
    }

    init(environment: [String: String], processID: CInt) {
        self.environment = environment
        self.processID = processID
    }

    /// Tells the service manager, if there is one. What cannot be told is not.
    public func tell(_ state: State) {
        guard let path = environment["NOTIFY_SOCKET"] else { return }
        switch state {
        case .ready: Self.send("READY=1\nSTATUS=Serving", to: path)
        case .reloading: Self.send("RELOADING=1\nMONOTONIC_USEC=\(Self.monotonicMicroseconds())", to: path)
        case .stopping: Self.send("STOPPING=1\nSTATUS=Waiting for calls to end", to: path)
        }
    }

    /// The descriptors of the sockets that were handed over: none where there are none, or where they are another's.
    ///
    /// - Throws: `SettingsError` for variables that make no sense.
    public func inheritedDescriptors() throws(SettingsError) -> [CInt] {
        guard let text = environment["LISTEN_FDS"], let owner = environment["LISTEN_PID"] else { return [] }
        // A process that was started by the one that the sockets were meant for has the variables, and not the sockets.
        guard owner == processID.description else { return [] }
        guard let count = CInt(text), (0...Self.maximumDescriptors).contains(count) else {
            throw SettingsError(
                message: "LISTEN_FDS is \"\(text)\" and must be a number from 0 to \(Self.maximumDescriptors)"
            )
        }
        let descriptors = (0..<count).map { Self.firstDescriptor + $0 }
        for descriptor in descriptors { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        return descriptors
    }

    private static func send(_ message: String, to path: String) {
        var name = sockaddr_un()
        name.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        // A name that starts with @ is one of the abstract sockets, whose first byte is 0.
        guard let first = bytes.first, first == UInt8(ascii: "/") || first == UInt8(ascii: "@"),
            bytes.count < MemoryLayout.size(ofValue: name.sun_path)
        else { return }
        withUnsafeMutableBytes(of: &name.sun_path) { buffer in
            buffer.copyBytes(from: bytes)
            if first == UInt8(ascii: "@") { buffer[0] = 0 }
        }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
        let descriptor = socket(AF_UNIX, CInt(SOCK_DGRAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let text = Array(message.utf8)
        withUnsafePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                _ = sendto(descriptor, text, text.count, CInt(MSG_NOSIGNAL), address, length)
            }
        }
    }

    private static func monotonicMicroseconds() -> Int {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return time.tv_sec &* 1_000_000 &+ time.tv_nsec / 1_000
    }
}
